/**
 * All that the cluster has, by id, as `cluster/resources` names it: the one store behind tree, lists, search and pages.
 *
 * It is fed by snapshots and patches (`feed.ts`). Who shows something is told only of what it reads: one row by its id, or
 * that a field has changed in any row (`version`). So a patch of rows that nobody looks at costs next to nothing.
 */

import { useCallback, useMemo, useSyncExternalStore } from "react";

import type { ResourceRow } from "../api/types";

export type Resource = ResourceRow & { [key: string]: unknown };
export type Field = keyof ResourceRow;

type Listener = (changed: ReadonlySet<string>) => void;

/** In the next frame: listeners hear once for all that came before it, and nothing while the tab is hidden. */
function inFrame(work: () => void): void {
  if (typeof requestAnimationFrame === "undefined") work();
  else requestAnimationFrame(work);
}

export class Inventory {
  private rows = new Map<string, Resource>();
  private sorted: Resource[] | null = null;
  private places: Map<string, number> | null = null;
  private readonly any = new Set<Listener>();
  private readonly byId = new Map<string, Set<Listener>>();
  private untold: Set<string> | null = null;
  private stamp = 0;
  private membersAt = 0;
  private readonly fieldsAt = new Map<string, number>();
  /** Whether a first snapshot has come. */
  loaded = false;

  constructor(private readonly later: (work: () => void) => void = inFrame) {}

  get(id: string): Resource | undefined {
    return this.rows.get(id);
  }

  /** All rows in a fixed order; the same array until something changes. */
  all(): Resource[] {
    this.sorted ??= [...this.rows.values()].sort(byPlace);
    return this.sorted;
  }

  /** A number that grows when a row came, went or moved, and when one of these fields changed in any row. */
  version(fields: readonly Field[]): number {
    return fields.reduce((newest, field) => Math.max(newest, this.fieldsAt.get(field) ?? 0), this.membersAt);
  }

  /** A number that grows with every change. */
  now(): number {
    return this.stamp;
  }

  /** Replace everything; rows that are equal stay the same objects, so nothing that shows them is drawn again. */
  snapshot(rows: readonly Resource[]): void {
    const next = new Map<string, Resource>();
    const changed = new Set<string>();
    for (const row of rows) {
      const old = this.rows.get(row.id);
      const same = old !== undefined && !differences(old, row).length;
      next.set(row.id, same ? old : row);
      if (!same) changed.add(row.id);
    }
    for (const id of this.rows.keys()) if (!next.has(id)) changed.add(id);
    const first = !this.loaded;
    this.rows = next;
    this.loaded = true;
    if (!changed.size && !first) return;
    this.membersAt = this.stamp += 1;
    this.sorted = this.places = null;
    this.tell(changed);
  }

  /** Change some: a patch's fields replace the row's (with `whole` all of it), `null` removes the row. */
  patch(changes: readonly (readonly [string, Partial<Resource> | null])[], whole = false): void {
    const changed = new Set<string>();
    this.stamp += 1;
    for (const [id, fields] of changes) {
      const old = this.rows.get(id);
      if (fields === null) {
        if (!this.rows.delete(id)) continue;
        this.membersAt = this.stamp;
      } else {
        const next = (whole ? fields : { ...(old ?? { type: "" }), ...fields, id }) as Resource;
        const names = old ? differences(old, next) : [];
        if (old && !names.length) continue;
        this.rows.set(id, next);
        for (const name of names) this.fieldsAt.set(name, this.stamp);
        if (!old || byPlace(old, next) !== 0) this.membersAt = this.stamp;
      }
      changed.add(id);
    }
    if (!changed.size) return;
    this.replace(changed);
    this.tell(changed);
  }

  onAny = (listener: Listener): (() => void) => {
    this.any.add(listener);
    return () => this.any.delete(listener);
  };

  onRow(id: string, listener: Listener): () => void {
    const listeners = this.byId.get(id) ?? new Set();
    this.byId.set(id, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (!listeners.size && this.byId.get(id) === listeners) this.byId.delete(id);
    };
  }

  /** The order after a patch: the same with other rows in it, unless one came, went or moved. Sorting 10,000 rows four
   * times a second would be most of what an idle page does. */
  private replace(changed: ReadonlySet<string>): void {
    if (this.membersAt === this.stamp) this.sorted = this.places = null;
    if (!this.sorted) return;
    this.places ??= new Map(this.sorted.map((row, index) => [row.id, index]));
    this.sorted = this.sorted.slice();
    for (const id of changed) this.sorted[this.places.get(id) as number] = this.rows.get(id) as Resource;
  }

  private tell(changed: ReadonlySet<string>): void {
    if (this.untold) return changed.forEach((id) => this.untold?.add(id));
    this.untold = new Set(changed);
    this.later(() => {
      const told = this.untold ?? new Set();
      this.untold = null;
      for (const id of told) this.byId.get(id)?.forEach((listener) => listener(told));
      this.any.forEach((listener) => listener(told));
    });
  }
}

export const inventory = new Inventory();

/** All rows as they are. Whoever uses it is drawn again with every change: for what is open for a short while. */
export function useAll(): Resource[] {
  return useSyncExternalStore(inventory.onAny, () => inventory.all());
}

/** `Inventory.version` of these fields; with `pause`, told of at most every so many milliseconds. */
export function useVersion(fields: readonly Field[], pause = 0): number {
  const subscribe = useCallback(
    (told: () => void) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const later = (): void => {
        timer ??= setTimeout(() => {
          timer = undefined;
          told();
        }, pause);
      };
      const stop = inventory.onAny(pause ? later : told);
      return () => {
        clearTimeout(timer);
        stop();
      };
    },
    [pause],
  );
  return useSyncExternalStore(subscribe, () => inventory.version(fields));
}

export function useResource(id: string): Resource | undefined {
  const subscribe = useCallback((told: () => void) => inventory.onRow(id, told), [id]);
  return useSyncExternalStore(subscribe, () => inventory.get(id));
}

/** These rows as they are now; those that have gone are left out. */
export function useRows(ids: ReadonlySet<string>): Resource[] {
  const subscribe = useCallback(
    (told: () => void) =>
      inventory.onAny((changed) => {
        for (const id of changed) if (ids.has(id)) return told();
        return undefined;
      }),
    [ids],
  );
  const last = useMemo(() => ({ at: -1, rows: [] as Resource[] }), [ids]);
  return useSyncExternalStore(subscribe, () => {
    if (last.at === inventory.now()) return last.rows;
    const rows = [...ids].flatMap((id) => inventory.get(id) ?? []);
    if (rows.length !== last.rows.length || rows.some((row, i) => row !== last.rows[i])) last.rows = rows;
    last.at = inventory.now();
    return last.rows;
  });
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
  return kind || (a.vmid ?? 0) - (b.vmid ?? 0) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

function rank(row: Resource): number {
  return row.type === "node" ? 0 : row.vmid !== undefined ? (row.template ? 2 : 1) : row.type === "storage" ? 3 : 4;
}

/** The fields in which two rows differ. */
function differences(a: Resource, b: Resource): string[] {
  if (a === b) return [];
  const found = Object.keys(b).filter((name) => a[name] !== b[name]);
  for (const name of Object.keys(a)) if (!(name in b) && a[name] !== undefined) found.push(name);
  return found;
}
