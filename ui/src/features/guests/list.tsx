/** The guests as a table: found by words, sorted by a column, chosen one or many, and worked on together. */

import { TextInput } from "@mantine/core";
import { type KeyboardEvent, type ReactNode, useDeferredValue, useEffect, useMemo, useState } from "react";

import { ActionBar } from "../../actions/menu";
import { t } from "../../i18n";
import { bytes, duration, percent } from "../../lib/format";
import { go, href } from "../../lib/router";
import { search } from "../../shell/views";
import { watch } from "../../store/feed";
import { type Resource, useAll } from "../../store/inventory";
import { Rows } from "../../ui/rows";
import { State, stateOf } from "../../ui/state";

type Title = `guests.${"number" | "name" | "state" | "cpu" | "memory" | "up" | "node" | "tags"}`;

interface Column {
  id: string;
  /** The key of a text without values. */
  title: Title;
  width: string;
  sort: (row: Resource) => string | number;
  show: (row: Resource) => ReactNode;
}

const COLUMNS: Column[] = [
  { id: "vmid", title: "guests.number", width: "5rem", sort: (r) => r.vmid ?? 0, show: (r) => r.vmid },
  {
    id: "name", title: "guests.name", width: "minmax(8rem, 2fr)", sort: (r) => r.name ?? "",
    show: (r) => <a href={href("qemu", r.vmid ?? 0)}>{r.name ?? r.vmid}</a>,
  },
  { id: "state", title: "guests.state", width: "7rem", sort: stateOf, show: (r) => <State row={r} word /> },
  { id: "cpu", title: "guests.cpu", width: "6rem", sort: (r) => r.cpu ?? -1, show: (r) => (r.status === "running" ? percent(r.cpu) : "") },
  {
    id: "mem", title: "guests.memory", width: "9rem", sort: (r) => r.mem ?? 0,
    show: (r) => (r.status === "running" ? t("common.of", { part: bytes(r.mem), whole: bytes(r.maxmem) }) : bytes(r.maxmem)),
  },
  { id: "uptime", title: "guests.up", width: "7rem", sort: (r) => r.uptime ?? 0, show: (r) => (r.uptime ? duration(r.uptime) : "") },
  { id: "node", title: "guests.node", width: "7rem", sort: (r) => r.node ?? "", show: (r) => r.node },
  { id: "tags", title: "guests.tags", width: "minmax(4rem, 1fr)", sort: (r) => r.tags ?? "", show: (r) => r.tags?.replaceAll(";", " ") },
];
const GRID = `1.5rem ${COLUMNS.map((column) => column.width).join(" ")}`;
const collator = new Intl.Collator(undefined, { numeric: true });

export function GuestList(props: { of?: (row: Resource) => boolean; title?: string }): ReactNode {
  const all = useAll();
  const [text, setText] = useState("");
  const words = useDeferredValue(text);
  const [by, setBy] = useState<{ column: string; down: boolean }>({ column: "vmid", down: false });
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [anchor, setAnchor] = useState<string | null>(null);
  const of = props.of;
  useEffect(() => watch(["*"]), []);
  const shown = useMemo(() => {
    const guests = search(all.filter((row) => row.vmid !== undefined && (!of || of(row))), words);
    return sorted(guests, by.column, by.down);
  }, [all, of, words, by]);
  const rows = useMemo(() => shown.filter((row) => chosen.has(row.id)), [shown, chosen]);

  const choose = (row: Resource, range: boolean): void => {
    const next = new Set(chosen);
    const from = shown.findIndex((one) => one.id === anchor);
    const to = shown.indexOf(row);
    if (range && from >= 0) shown.slice(Math.min(from, to), Math.max(from, to) + 1).forEach((one) => next.add(one.id));
    else if (!next.delete(row.id)) next.add(row.id);
    setAnchor(row.id);
    setChosen(next);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if ((event.ctrlKey || event.metaKey) && event.key === "a") {
      setChosen(new Set(shown.map((row) => row.id)));
      event.preventDefault();
    } else if (event.key === "Escape") setChosen(new Set());
  };

  return (
    <section className="list">
      <header>
        <TextInput
          size="xs" placeholder={t("guests.filterHint")} aria-label={t("guests.filter")} value={text}
          onChange={(event) => setText(event.currentTarget.value)} data-filter
        />
        <span className="hint" aria-live="polite">
          {rows.length ? t("guests.chosen", { n: rows.length, all: shown.length }) : t("guests.count", { n: shown.length })}
        </span>
        {rows.length > 0 && <ActionBar rows={rows} />}
      </header>
      <div className="table-head" style={{ gridTemplateColumns: GRID }}>
        <span />
        {COLUMNS.map((column) => (
          <button
            key={column.id} type="button"
            onClick={() => setBy({ column: column.id, down: by.column === column.id && !by.down })}
          >
            {t(column.title)} {by.column === column.id ? (by.down ? "▾" : "▴") : ""}
          </button>
        ))}
      </div>
      <Rows
        items={shown} keyOf={(row) => row.id} label={props.title ?? t("guests.list")} role="grid" onKeyDown={onKeyDown}
        empty={<p className="hint">{t(text ? "guests.noMatch" : "guests.none")}</p>}
      >
        {(row, index) => (
          <div
            role="row" aria-selected={chosen.has(row.id)} aria-rowindex={index + 1} className="table-row"
            style={{ gridTemplateColumns: GRID }} onDoubleClick={() => go("qemu", row.vmid ?? 0, "console")}
            onClick={(event) => choose(row, event.shiftKey)}
          >
            <span role="gridcell">
              <input
                type="checkbox" readOnly tabIndex={-1} checked={chosen.has(row.id)} aria-label={t("guests.choose", { vmid: String(row.vmid) })}
              />
            </span>
            {COLUMNS.map((column) => (
              <span key={column.id} role="gridcell">
                {column.show(row)}
              </span>
            ))}
          </div>
        )}
      </Rows>
    </section>
  );
}

function sorted(rows: Resource[], id: string, down: boolean): Resource[] {
  const column = COLUMNS.find((one) => one.id === id) ?? COLUMNS[0];
  const keyed = rows.map((row) => [column?.sort(row) ?? 0, row] as const);
  keyed.sort(([a], [b]) => (typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b))));
  const found = keyed.map(([, row]) => row);
  return down ? found.reverse() : found;
}
