/** The address of a view is the part behind `#`: `#/qemu/100/console`. So every view is a link, and Back works. */

import { createContext, useContext, useSyncExternalStore } from "react";

export interface Place {
  parts: string[];
  query: URLSearchParams;
}

let current = parse(globalThis.location?.hash ?? ""); // unit tests have no address
const listeners = new Set<() => void>();
globalThis.addEventListener?.("hashchange", () => {
  current = parse(location.hash);
  listeners.forEach((listener) => listener());
});

function parse(hash: string): Place {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  return { parts: path.split("/").filter(Boolean).map(decodeURIComponent), query: new URLSearchParams(query) };
}

/** Called whenever the address is another one; returns what ends that. */
export function onPlace(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The address as it is: for what shows at once where one is (the tree, tabs). */
export function usePlace(): Place {
  return useSyncExternalStore(onPlace, () => current);
}

/** The address of the view that is drawn: it follows once what was chosen shows that it is, and is drawn in slices, so that
 * no key waits for it. */
export const DrawnPlace = createContext<Place>(current);

export function useDrawnPlace(): Place {
  return useContext(DrawnPlace);
}

export function href(...parts: (string | number)[]): string {
  return `#/${parts.map((part) => encodeURIComponent(part)).join("/")}`;
}

export function go(...parts: (string | number)[]): void {
  location.hash = href(...parts);
}
