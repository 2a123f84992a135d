/** One guest as a row of the list. It is drawn again when it changes itself, not when others do. */

import { memo, type ReactNode } from "react";

import { t } from "../../i18n";
import { bytes, duration, percent } from "../../lib/format";
import { href } from "../../lib/router";
import { type Field, type Resource, useResource } from "../../store/inventory";
import { natural } from "../../store/lineup";
import { State, stateOf } from "../../ui/state";

type Title = `guests.${"number" | "name" | "state" | "cpu" | "memory" | "up" | "node" | "tags"}`;

export interface Column {
  id: string;
  /** The key of a text without values. */
  title: Title;
  width: string;
  /** What the list is sorted by. */
  key: (row: Resource) => string | number;
  /** It is sorted by what is only known of the rows in sight, unless the figures of all are asked for. */
  figure?: Field;
  show: (row: Resource) => ReactNode;
}

export const COLUMNS: readonly [Column, ...Column[]] = [
  { id: "vmid", title: "guests.number", width: "5rem", key: (r) => r.vmid ?? 0, show: (r) => r.vmid },
  {
    id: "name", title: "guests.name", width: "minmax(8rem, 2fr)", key: (r) => natural(r.name ?? ""),
    show: (r) => <a href={href("qemu", r.vmid ?? 0)}>{r.name ?? r.vmid}</a>,
  },
  { id: "state", title: "guests.state", width: "7rem", key: stateOf, show: (r) => <State row={r} word /> },
  { id: "cpu", title: "guests.cpu", width: "6rem", figure: "cpu", key: (r) => r.cpu ?? -1, show: (r) => (r.status === "running" ? percent(r.cpu) : "") },
  {
    id: "mem", title: "guests.memory", width: "11rem", figure: "mem", key: (r) => r.mem ?? 0,
    show: (r) => (r.status === "running" ? t("common.of", { part: bytes(r.mem), whole: bytes(r.maxmem) }) : bytes(r.maxmem)),
  },
  { id: "uptime", title: "guests.up", width: "7rem", figure: "uptime", key: (r) => r.uptime ?? 0, show: (r) => (r.uptime ? duration(r.uptime) : "") },
  { id: "node", title: "guests.node", width: "7rem", key: (r) => natural(r.node ?? ""), show: (r) => r.node },
  { id: "tags", title: "guests.tags", width: "minmax(4rem, 1fr)", key: (r) => natural(r.tags ?? ""), show: (r) => r.tags?.replaceAll(";", " ") },
];
export const GRID = { gridTemplateColumns: `1.5rem ${COLUMNS.map((column) => column.width).join(" ")}` };

export const GuestRow = memo(function GuestRow(props: { id: string; index: number; chosen: boolean }): ReactNode {
  const { id, index, chosen } = props;
  const row = useResource(id);
  if (!row) return null;
  return (
    <div role="row" aria-selected={chosen} aria-rowindex={index + 1} className="table-row" style={GRID}>
      <span role="gridcell">
        <input type="checkbox" readOnly tabIndex={-1} checked={chosen} aria-label={t("guests.choose", { vmid: String(row.vmid) })} />
      </span>
      {COLUMNS.map((column) => (
        <span key={column.id} role="gridcell">
          {column.show(row)}
        </span>
      ))}
    </div>
  );
});
