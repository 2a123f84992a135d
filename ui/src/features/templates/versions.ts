/** A template's clones by the state of the template that they came from. Pure. */

import type { CloneRow } from "../../api/types";

export interface Version {
  /** The digest of the template's configuration then; empty where that is not known. */
  id: string;
  current: boolean;
  /** When the first clone of it was made. */
  since?: number;
  clones: CloneRow[];
}

/** The present state first, then the newest. */
export function versions(clones: readonly CloneRow[]): Version[] {
  const found = new Map<string, Version>();
  for (const clone of clones) {
    const id = clone.version ?? "";
    const version = found.get(id) ?? { id, current: clone.current === 1, clones: [] };
    version.clones.push(clone);
    if (clone.cloned !== undefined) version.since = Math.min(version.since ?? Infinity, clone.cloned);
    found.set(id, version);
  }
  return [...found.values()].sort((a, b) => Number(b.current) - Number(a.current) || (b.since ?? 0) - (a.since ?? 0));
}
