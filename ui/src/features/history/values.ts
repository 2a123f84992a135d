/** What a change did to a stored record, field by field, as people read it. Pure. */

import type { FieldChange } from "../../api/types";

/** A side that is empty was not there, or is not any more; an empty `key` stands for the whole. */
export interface Difference {
  key: string;
  old: string;
  new: string;
}

type Plain = Readonly<Record<string, unknown>>;

/** Records in a record (a realm's options, a user's tokens) are opened; what differs in no word is left out. */
export function differences(changes: readonly FieldChange[]): Difference[] {
  return changes.flatMap((one) => (one.key ? between(one.key, one.old, one.new) : [{ key: "", old: "", new: "" }]));
}

function between(key: string, old: unknown, now: unknown): Difference[] {
  const [before, after] = [old ?? undefined, now ?? undefined];
  if (isPlain(before ?? after) && isPlain(after ?? before)) {
    const [left, right] = [(before ?? {}) as Plain, (after ?? {}) as Plain];
    const names = [...new Set([...Object.keys(left), ...Object.keys(right)])].sort();
    return names.flatMap((name) => between(key === "texts" ? name : `${key}.${name}`, left[name], right[name]));
  }
  if (isEntries(before ?? after)) {
    const [left, right] = [entries(before), entries(after)];
    const gone = left.filter((text) => !right.includes(text)).map((text) => ({ key, old: text, new: "" }));
    return [...gone, ...right.filter((text) => !left.includes(text)).map((text) => ({ key, old: "", new: text }))];
  }
  const [left, right] = [textOf(before), textOf(after)];
  return left === right ? [] : [{ key, old: left, new: right }];
}

function isPlain(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isEntries(value: unknown): boolean {
  return Array.isArray(value) && value.some(isPlain);
}

/** A grant is its role and path; what else is a record says itself. */
function entries(value: unknown): string[] {
  return ((value ?? []) as Plain[]).map((one) => ("role" in one && "path" in one ? `${String(one["role"])} ${String(one["path"])}` : JSON.stringify(one)));
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  return Array.isArray(value) ? value.join(", ") : String(value);
}
