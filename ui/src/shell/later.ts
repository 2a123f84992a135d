/**
 * What people reach for first but what the first view does without: it is loaded once that view stands and the browser has
 * nothing to do, so that nobody waits for it twice.
 */

export const LATER = {
  user: () => import("./user"),
  palette: () => import("./palette").then((palette) => ({ default: palette.Palette })),
  actions: () => import("../actions/menu").then((menu) => ({ default: menu.ActionBar })),
  guest: () => import("../features/guests/page").then((page) => ({ default: page.GuestPage })),
  drawer: () => import("../ui/drawer"),
};

/** Fetch them all; returns what ends that. */
export function fetchLater(): () => void {
  const waiting = requestIdleCallback(() => Object.values(LATER).forEach((one) => void one().catch(() => {})));
  return () => cancelIdleCallback(waiting);
}
