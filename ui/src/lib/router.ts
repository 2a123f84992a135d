/** The address of a view is the part behind `#`: `#/qemu/100/console`. So every view is a link, and Back works. */

import { useSyncExternalStore } from "react";

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

export function usePlace(): Place {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => current,
  );
}

export function href(...parts: (string | number)[]): string {
  return `#/${parts.map((part) => encodeURIComponent(part)).join("/")}`;
}

export function go(...parts: (string | number)[]): void {
  location.hash = href(...parts);
}
