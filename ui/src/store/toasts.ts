/** Short words about what was done, with the way back where there is one. They go by themselves. */

import { useSyncExternalStore } from "react";

export interface Toast {
  key: number;
  text: string;
  undo?: () => Promise<void>;
}

const SHOWN_MS = 6000;
const UNDO_MS = 30_000;
const MOST = 4;
let shown: readonly Toast[] = [];
let last = 0;
const listeners = new Set<() => void>();

export function toast(text: string, undo?: () => Promise<void>): Toast {
  last += 1;
  const made: Toast = { key: last, text, ...(undo ? { undo } : {}) };
  put([...shown, made].slice(-MOST));
  setTimeout(() => drop(made), undo ? UNDO_MS : SHOWN_MS);
  return made;
}

export function drop(one: Toast): void {
  if (shown.some((kept) => kept.key === one.key)) put(shown.filter((kept) => kept.key !== one.key));
}

export function useToasts(): readonly Toast[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => shown,
  );
}

function put(next: readonly Toast[]): void {
  shown = next;
  listeners.forEach((listener) => listener());
}
