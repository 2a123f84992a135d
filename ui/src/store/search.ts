/** Finding rows by words. Pure; the text of each row is made once and kept as long as the row. */

import type { Resource } from "./inventory";

const FIELDS: Record<string, (row: Resource) => string | undefined> = {
  type: (row) => row.type,
  node: (row) => row.node,
  status: (row) => row.status,
  tag: (row) => row.tags,
  pool: (row) => row.pool,
};
const AT_ONCE = 100;
const texts = new WeakMap<Resource, string>(); // a row that changes is another object

/** Whether a row has all words: in number, name, tags, pool, node or state; `status:running` and the like by field. */
export function finder(text: string): (row: Resource) => boolean {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean).map(wordOf);
  return (row) => words.every((matches) => matches(row));
}

/** The first so many that fit; what comes after them is not looked at. */
export function firstOf(rows: readonly Resource[], text: string, most: number, also: (row: Resource) => boolean = () => true): Resource[] {
  const fits = finder(text);
  const found: Resource[] = [];
  for (const row of rows) {
    if (found.length === most) break;
    if (also(row) && fits(row)) found.push(row);
  }
  return found;
}

/** Make the rows' texts before anybody asks, in moments in which the browser has nothing to do; returns what ends that. */
export function prepare(rows: readonly Resource[]): () => void {
  let [done, waiting] = [0, 0];
  const go = (idle: IdleDeadline): void => {
    while (done < rows.length && (done % AT_ONCE || idle.timeRemaining() > 1)) textOf(rows[done++] as Resource);
    if (done < rows.length) waiting = requestIdleCallback(go);
  };
  waiting = requestIdleCallback(go);
  return () => cancelIdleCallback(waiting);
}

function wordOf(word: string): (row: Resource) => boolean {
  const [field = "", value] = word.split(":", 2);
  const read = FIELDS[field];
  if (read && value !== undefined) return (row) => (read(row) ?? "").toLowerCase().includes(value);
  return (row) => textOf(row).includes(word);
}

function textOf(row: Resource): string {
  let text = texts.get(row);
  if (text === undefined) {
    const parts = [row.vmid, row.name, row.tags, row.pool, row.node, row.status, row.storage];
    text = parts.filter((part) => part !== undefined).join(" ").toLowerCase();
    texts.set(row, text);
  }
  return text;
}
