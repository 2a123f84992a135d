/**
 * All that the cluster has, by id, as `cluster/resources` names it: the one store behind tree, lists, search and pages.
 *
 * It is fed by snapshots and patches (`feed.ts`); a component is told only of what it reads.
 */

import { useSyncExternalStore } from "react";

import type { ResourceRow } from "../api/types";

export type Resource = ResourceRow & { [key: string]: unknown };

type Listener = () => void;

export class Inventory {
  private rows = new Map<string, Resource>();
  private sorted: Resource[] | null = null;
  private places: Map<string, number> | null = null;
  private readonly any = new Set<Listener>();
  private readonly byId = new Map<string, Set<Listener>>();
  /** Whether a first snapshot has come. */
  loaded = false;

  get(id: string): Resource | undefined {
    return this.rows.get(id);
  }

  /** All rows in a fixed order; the same array until something changes. */
  all(): Resource[] {
    this.sorted ??= [...this.rows.values()].sort(byPlace);
    return this.sorted;
  }

  /** Replace everything; rows that are equal stay the same objects, so nothing that shows them is drawn again. */
  snapshot(rows: readonly Resource[]): void {
    const next = new Map<string, Resource>();
    const changed = new Set<string>();
    for (const row of rows) {
      const old = this.rows.get(row.id);
      const same = old !== undefined && equal(old, row);
      next.set(row.id, same ? old : row);
      if (!same) changed.add(row.id);
    }
    for (const id of this.rows.keys()) if (!next.has(id)) changed.add(id);
    const first = !this.loaded;
    this.rows = next;
    this.loaded = true;
    if (changed.size || first) this.tell(changed);
  }

  /** Change some: a patch's fields replace the row's (with `whole` all of it), `null` removes the row. */
  patch(changes: readonly (readonly [string, Partial<Resource> | null])[], whole = false): void {
    if (!changes.length) return;
    for (const [id, fields] of changes) {
      const old = whole ? undefined : this.rows.get(id);
      if (fields === null) this.rows.delete(id);
      else this.rows.set(id, { ...(old ?? { type: "" }), ...fields, id });
    }
    this.tell(new Set(changes.map(([id]) => id)), this.replaced(changes));
  }

  onAny = (listener: Listener): (() => void) => {
    this.any.add(listener);
    return () => this.any.delete(listener);
  };

  onRow(id: string): (listener: Listener) => () => void {
    return (listener) => {
      const listeners = this.byId.get(id) ?? new Set();
      this.byId.set(id, listeners.add(listener));
      return () => listeners.delete(listener);
    };
  }

  /** The order after a patch: the same with other rows in it, unless one came, went or moved. Sorting 10,000 rows four
   * times a second would be most of what an idle page does. */
  private replaced(changes: readonly (readonly [string, unknown])[]): Resource[] | null {
    if (!this.sorted) return null;
    if (!this.places) this.places = new Map(this.sorted.map((row, index) => [row.id, index]));
    const next = this.sorted.slice();
    for (const [id] of changes) {
      const at = this.places.get(id);
      const row = this.rows.get(id);
      if (at === undefined || !row || byPlace(next[at] as Resource, row) !== 0) return null;
      next[at] = row;
    }
    return next;
  }

  private tell(changed: ReadonlySet<string>, sorted: Resource[] | null = null): void {
    this.sorted = sorted;
    if (!sorted) this.places = null;
    for (const id of changed) this.byId.get(id)?.forEach((listener) => listener());
    this.any.forEach((listener) => listener());
  }
}

export const inventory = new Inventory();

export function useAll(): Resource[] {
  return useSyncExternalStore(inventory.onAny, () => inventory.all());
}

export function useResource(id: string): Resource | undefined {
  return useSyncExternalStore(inventory.onRow(id), () => inventory.get(id));
}

/** These rows as they are now; one that has gone stays as it was. */
export function useCurrent(rows: readonly Resource[]): Resource[] {
  useAll();
  return rows.map((row) => inventory.get(row.id) ?? row);
}

/** The node that is here. */
export function useNode(): string | undefined {
  return useSyncExternalStore(inventory.onAny, () => inventory.all().find((row) => row.type === "node")?.node);
}

export function useLoaded(): boolean {
  return useSyncExternalStore(inventory.onAny, () => inventory.loaded);
}

/** The path of a guest or node in the API. */
export function apiPath(row: Resource): string {
  if (row.vmid !== undefined) return `/nodes/${row.node}/${row.type}/${row.vmid}`;
  return row.type === "storage" ? `/nodes/${row.node}/storage/${row.storage}` : `/nodes/${row.node}`;
}

export function titleOf(row: Resource): string {
  if (row.vmid !== undefined) return row.name ? `${row.vmid} (${row.name})` : String(row.vmid);
  return row.storage ?? row.node ?? row.pool ?? row.id;
}

function byPlace(a: Resource, b: Resource): number {
  const kind = rank(a) - rank(b);
  return kind || (a.vmid ?? 0) - (b.vmid ?? 0) || a.id.localeCompare(b.id);
}

function rank(row: Resource): number {
  return row.type === "node" ? 0 : row.vmid !== undefined ? (row.template ? 2 : 1) : row.type === "storage" ? 3 : 4;
}

function equal(a: Resource, b: Resource): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
