/** The tree's views: how the inventory is grouped. Pure. */

import { t } from "../i18n";
import type { Resource } from "../store/inventory";

export type View = "server" | "folder" | "pool" | "tag";
export const VIEWS: readonly View[] = ["server", "folder", "pool", "tag"];

export interface Line {
  key: string;
  level: number;
  title: string;
  row?: Resource;
  group?: { id: string; count: number; open: boolean };
}

/** The visible lines of a view, flat. `closed` holds the groups that are folded. */
export function lines(rows: readonly Resource[], view: View, closed: ReadonlySet<string>): Line[] {
  const guests = rows.filter((row) => row.vmid !== undefined);
  const storages = rows.filter((row) => row.type === "storage");
  if (view === "folder") {
    return [
      ...folded(t("shell.nodes"), "kind/node", rows.filter((row) => row.type === "node"), closed),
      ...folded(t("shell.guests"), "kind/guest", guests.filter((row) => !row.template), closed),
      ...folded(t("shell.templates"), "kind/template", guests.filter((row) => row.template), closed),
      ...folded(t("shell.storages"), "kind/storage", storages, closed),
    ];
  }
  if (view === "server") {
    return rows
      .filter((row) => row.type === "node")
      .flatMap((node) => {
        const own = rows.filter((row) => row.node === node.node && row !== node && row.type !== "pool");
        const id = node.id;
        const open = !closed.has(id);
        const head: Line = { key: id, level: 1, title: node.node ?? id, row: node, group: { id, count: own.length, open } };
        return [head, ...(open ? own.map((row) => leaf(row, id, 2)) : [])];
      });
  }
  const groups = new Map<string, Resource[]>();
  for (const row of guests) {
    const names = view === "pool" ? [row.pool ?? ""] : (row.tags?.split(";").filter(Boolean) ?? []);
    for (const name of names.length ? names : [""]) groups.set(name, [...(groups.get(name) ?? []), row]);
  }
  const none = view === "pool" ? t("shell.noPool") : t("shell.noTag");
  return [...groups]
    .sort(([a], [b]) => Number(!a) - Number(!b) || a.localeCompare(b))
    .flatMap(([name, members]) => folded(name || none, `${view}/${name}`, members, closed));
}

function folded(title: string, id: string, members: readonly Resource[], closed: ReadonlySet<string>): Line[] {
  if (!members.length) return [];
  const open = !closed.has(id);
  const head: Line = { key: id, level: 1, title, group: { id, count: members.length, open } };
  return [head, ...(open ? members.map((row) => leaf(row, id, 2)) : [])];
}

function leaf(row: Resource, group: string, level: number): Line {
  const title = row.vmid !== undefined ? `${row.vmid} ${row.name ?? ""}` : (row.storage ?? row.node ?? row.id);
  return { key: `${group} ${row.id}`, level, title, row };
}

/** Rows that match all words: in number, name, tags, pool, node or state; `status:running` and the like by field. */
export function search(rows: readonly Resource[], text: string): Resource[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [...rows];
  return rows.filter((row) => words.every((word) => matches(row, word)));
}

const FIELDS: Record<string, (row: Resource) => string | undefined> = {
  type: (row) => row.type,
  node: (row) => row.node,
  status: (row) => row.status,
  tag: (row) => row.tags,
  pool: (row) => row.pool,
};

function matches(row: Resource, word: string): boolean {
  const [field = "", value] = word.split(":", 2);
  const read = FIELDS[field];
  if (read && value !== undefined) return (read(row) ?? "").toLowerCase().includes(value);
  return `${row.vmid ?? ""} ${row.name ?? ""} ${row.tags ?? ""} ${row.pool ?? ""} ${row.node ?? ""} ${row.status ?? ""} ${
    row.storage ?? ""
  }`
    .toLowerCase()
    .includes(word);
}
