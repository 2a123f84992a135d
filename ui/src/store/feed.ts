/**
 * Keeps the inventory true. The whole list is asked for at intervals that follow how long it takes, and at once after
 * something was done; while the tab is hidden, nothing is asked.
 */

import { call } from "../api/client";
import { inventory, type Resource } from "./inventory";

const SECONDS = 2;
let timer: ReturnType<typeof setTimeout> | undefined;
let running = false;
let reachable = true;
const listeners = new Set<() => void>();

export function start(): () => void {
  running = true;
  document.addEventListener("visibilitychange", soon);
  void turn();
  return () => {
    running = false;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", soon);
  };
}

/** Something was done: look at once. */
export function soon(): void {
  if (!running || document.hidden) return;
  clearTimeout(timer);
  timer = setTimeout(() => void turn(), 50);
}

export function isReachable(): boolean {
  return reachable;
}

export function onReachable(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

async function turn(): Promise<void> {
  const begun = performance.now();
  try {
    inventory.snapshot(await call<Resource[]>("GET", "/cluster/resources"));
    became(true);
  } catch {
    became(false);
  }
  if (!running) return;
  const took = performance.now() - begun;
  timer = setTimeout(() => (document.hidden ? undefined : void turn()), SECONDS * 1000 + 2 * took);
}

function became(now: boolean): void {
  if (now === reachable) return;
  reachable = now;
  listeners.forEach((listener) => listener());
}
