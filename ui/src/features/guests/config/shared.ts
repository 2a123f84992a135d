/** Settings that make sense for several guests at once, what a change of them is, and what the server foresees of it. */

import { problemFrom } from "../../../actions/run";
import type { Problem } from "../../../api/client";
import { type Resource, titleOf } from "../../../store/inventory";
import { find, GROUPS, type Group, optionsOf } from "./option";
import type { Plan, Told, Wish } from "./use";

/** Of one guest alone: what names it, what hangs on its own devices, and what has a form of its own (tags). */
const OWN = new Set(["name", "description", "tags", "boot", "smbios1", "vmgenid", "efidisk0"]);
const AT_ONCE = 6;

/** The keys that are offered, by group. */
export function sharedKeys(): [Group, string[]][] {
  const groups = [...(Object.keys(GROUPS) as Group[]), "more" as const];
  const keys = (group: Group): string[] => optionsOf(group).filter((one) => one.count === undefined && !OWN.has(one.name)).map((one) => one.name);
  return groups.map((group): [Group, string[]] => [group, keys(group)]).filter(([, names]) => names.length > 0);
}

/** An empty value takes a key away, so that its usual value holds. */
export function wishOf(values: Readonly<Record<string, string>>): Wish | null {
  const keys = Object.keys(values);
  if (!keys.length) return null;
  const gone = keys.filter((key) => values[key] === "");
  const set = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ""));
  return gone.length ? { set, delete: gone } : { set };
}

/** What the server says of one guest: its plan, or why not. */
export interface Outcome {
  row: Resource;
  plan?: Plan;
  problem?: Problem;
}

export type Ask = (row: Resource) => Promise<Plan>;

/** Asks for each guest, a few at a time, and tells after each; ends when `signal` is given up. */
export async function foresee(rows: readonly Resource[], ask: Ask, signal: AbortSignal, tell: (outcome: Outcome) => void): Promise<void> {
  const left = [...rows];
  const worker = async (): Promise<void> => {
    for (let row = left.shift(); row && !signal.aborted; row = left.shift()) {
      const outcome = await one(row, ask);
      if (!signal.aborted) tell(outcome);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, rows.length) }, worker));
}

async function one(row: Resource, ask: Ask): Promise<Outcome> {
  try {
    return { row, plan: await ask(row) };
  } catch (raised) {
    return { row, problem: problemFrom(raised, titleOf(row)) };
  }
}

/** What takes a change back, by what the plan said was there before; null where nothing changed or a secret was there. */
export function backOf(changes: readonly Told[] | undefined): Wish | null {
  if (!changes?.length || changes.some((one) => one.old !== undefined && find(one.key)?.option.secret)) return null;
  return wishOf(Object.fromEntries(changes.map((one) => [one.key, one.old ?? ""])));
}
