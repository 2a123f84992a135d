/** The rows that a list shows and their order, kept true by looking only at what changed. */

import { useCallback, useMemo, useSyncExternalStore } from "react";

import { inventory, type Resource } from "./inventory";

const MANY = 1000; // changes at once after which all is sorted anew

type Key = string | number;
interface Entry {
  id: string;
  key: Key;
  vmid: number;
}

export class Lineup {
  /** Another array whenever a row came, went or moved, and only then. */
  ids: readonly string[] = [];
  private entries: Entry[] = [];
  private byId = new Map<string, Entry>();

  /** `keyOf` gives what is sorted by; equal ones stand by their number. */
  constructor(
    private readonly wanted: (row: Resource) => boolean,
    private readonly keyOf: (row: Resource) => Key,
    private readonly down: boolean,
  ) {}

  /** Begin anew with these rows. */
  fill(rows: readonly Resource[]): void {
    const entries = rows.filter(this.wanted).map((row) => this.entryOf(row)).sort(inOrder);
    this.byId = new Map(entries.map((entry) => [entry.id, entry]));
    this.put(entries);
  }

  /** These have changed; `get` gives what has become of one. Answers whether the list is another one now. */
  take(changed: ReadonlySet<string>, get: (id: string) => Resource | undefined): boolean {
    const [out, come] = [new Set<Entry>(), [] as Entry[]];
    for (const id of changed) {
      const old = this.byId.get(id);
      const row = get(id);
      const next = row && this.wanted(row) ? this.entryOf(row) : undefined;
      if (old?.key === next?.key && old?.vmid === next?.vmid) continue;
      if (old) out.add(old);
      if (next) come.push(next);
      if (next) this.byId.set(id, next);
      else this.byId.delete(id);
    }
    if (!out.size && !come.length) return false;
    this.put(merged(out.size ? this.entries.filter((entry) => !out.has(entry)) : this.entries, come.sort(inOrder)));
    return true;
  }

  private entryOf(row: Resource): Entry {
    return { id: row.id, key: this.keyOf(row), vmid: row.vmid ?? 0 };
  }

  private put(entries: Entry[]): void {
    this.entries = entries;
    const ids = entries.map((entry) => entry.id);
    this.ids = this.down ? ids.reverse() : ids;
  }
}

function inOrder(a: Entry, b: Entry): number {
  return (a.key < b.key ? -1 : a.key > b.key ? 1 : 0) || a.vmid - b.vmid;
}

/** Two sorted lists as one: a few comparisons for each of the few that come, none for the many that stay. */
function merged(stay: Entry[], come: readonly Entry[]): Entry[] {
  const found: Entry[] = [];
  let done = 0;
  for (const entry of come) {
    let [low, high] = [done, stay.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (inOrder(stay[middle] as Entry, entry) <= 0) low = middle + 1;
      else high = middle;
    }
    for (; done < low; done += 1) found.push(stay[done] as Entry);
    found.push(entry);
  }
  for (; done < stay.length; done += 1) found.push(stay[done] as Entry);
  return found;
}

/** A text as a key by which `web-9` stands before `web-10`, whatever the case. */
export function natural(text: string): string {
  return text.toLowerCase().replaceAll(/\d+/g, (digits) => digits.padStart(12, "0"));
}

/** The ids of the wanted rows of the inventory in their order. The functions must stay the same from one time to the next. */
export function useLineup(wanted: (row: Resource) => boolean, keyOf: (row: Resource) => Key, down: boolean): readonly string[] {
  const made = useMemo(() => {
    const lineup = new Lineup(wanted, keyOf, down);
    lineup.fill(inventory.all());
    return { lineup, at: inventory.now() };
  }, [wanted, keyOf, down]);
  const subscribe = useCallback(
    (told: () => void) => {
      if (made.at !== inventory.now()) made.lineup.fill(inventory.all()); // what changed before anybody told us of it
      return inventory.onAny((changed) => {
        if (changed.size > MANY) made.lineup.fill(inventory.all());
        else if (!made.lineup.take(changed, (id) => inventory.get(id))) return;
        told();
      });
    },
    [made],
  );
  return useSyncExternalStore(subscribe, () => made.lineup.ids);
}
