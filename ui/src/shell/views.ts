/** The tree's views: how the inventory is grouped. Pure. */

import { t } from "../i18n";
import type { Field, Resource } from "../store/inventory";

export type View = "server" | "folder" | "pool" | "tag";
export const VIEWS: readonly View[] = ["server", "folder", "pool", "tag"];
/** What a view reads of the rows: it is another one only when one of these has changed, or which rows there are. */
export const READS: Record<View, readonly Field[]> = { server: ["node"], folder: ["template"], pool: ["pool"], tag: ["tags"] };

/** The head of a group; `row` where it is a thing itself. */
export class Group {
  constructor(
    readonly id: string,
    readonly title: string,
    readonly count: number,
    readonly open: boolean,
    readonly row?: Resource,
  ) {}
}
export type Line = Group | Resource;

/** The visible lines of a view, flat: each group's head, then its own. `closed` holds the groups that are folded. */
export function lines(rows: readonly Resource[], view: View, closed: ReadonlySet<string>): Line[] {
  const found: Line[] = [];
  const group = (id: string, title: string, members: readonly Resource[], row?: Resource): void => {
    if (!members.length && !row) return;
    const open = !closed.has(id);
    found.push(new Group(id, title, members.length, open, row));
    if (open) for (const member of members) found.push(member);
  };
  if (view === "folder") {
    const [nodes, guests, templates, storages] = ["node", "guest", "template", "storage"].map((kind) => rows.filter((row) => kindOf(row) === kind));
    group("kind/node", t("shell.nodes"), nodes ?? []);
    group("kind/guest", t("shell.guests"), guests ?? []);
    group("kind/template", t("shell.templates"), templates ?? []);
    group("kind/storage", t("shell.storages"), storages ?? []);
  } else if (view === "server") {
    // The page has nothing of networks yet.
    const own = grouped(rows.filter((row) => !["node", "pool", "sdn"].includes(row.type)), (row) => [row.node ?? ""]);
    for (const node of rows) if (node.type === "node") group(node.id, node.node ?? node.id, own.get(node.node ?? "") ?? [], node);
  } else {
    const guests = rows.filter((row) => row.vmid !== undefined);
    const names = grouped(guests, view === "pool" ? (row) => [row.pool ?? ""] : tagsOf);
    const none = view === "pool" ? t("shell.noPool") : t("shell.noTag");
    const inOrder = [...names].sort(([a], [b]) => Number(!a) - Number(!b) || a.localeCompare(b));
    for (const [name, members] of inOrder) group(`${view}/${name}`, name || none, members);
  }
  return found;
}

function kindOf(row: Resource): string {
  return row.vmid === undefined ? row.type : row.template ? "template" : "guest";
}

function tagsOf(row: Resource): string[] {
  const found = row.tags?.split(";").filter(Boolean);
  return found?.length ? found : [""];
}

function grouped(rows: readonly Resource[], namesOf: (row: Resource) => string[]): Map<string, Resource[]> {
  const found = new Map<string, Resource[]>();
  for (const row of rows) {
    for (const name of namesOf(row)) {
      const members = found.get(name);
      if (members) members.push(row);
      else found.set(name, [row]);
    }
  }
  return found;
}

export function titleOfLine(row: Resource): string {
  return row.vmid !== undefined ? `${row.vmid} ${row.name ?? ""}` : (row.storage ?? row.node ?? row.id);
}
