/** The guests as a table: found by words, sorted by a column, chosen one or many, and worked on together. */

import { TextInput } from "@mantine/core";
import { type KeyboardEvent, lazy, type ReactNode, Suspense, useDeferredValue, useEffect, useMemo, useState } from "react";

import { t, useLanguage } from "../../i18n";
import { go } from "../../lib/router";
import { LATER } from "../../shell/later";
import { watch } from "../../store/feed";
import { inventory, type Resource, useRows } from "../../store/inventory";
import { useLineup } from "../../store/lineup";
import { finder } from "../../store/search";
import { Rows } from "../../ui/rows";
import { COLUMNS, GRID, GuestRow } from "./row";

const ActionBar = lazy(LATER.actions);
const SETTLE_MS = 150; // while somebody scrolls, nobody is asked for figures

/** `of` must stay the same function from one time to the next. */
export function GuestList(props: { of?: (row: Resource) => boolean; title?: string }): ReactNode {
  const { of } = props;
  const [words, setWords] = useState("");
  const [by, setBy] = useState<{ column: string; down: boolean }>({ column: "vmid", down: false });
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [anchor, setAnchor] = useState<string | null>(null);
  const sorted = useDeferredValue(by); // the arrow shows at once, the rows follow in a drawing of their own
  const column = COLUMNS.find((one) => one.id === sorted.column) ?? COLUMNS[0];
  const wanted = useMemo(() => {
    const found = finder(words);
    return (row: Resource): boolean => row.vmid !== undefined && (!of || of(row)) && found(row);
  }, [of, words]);
  const shown = useLineup(wanted, column.key, sorted.down);
  const onSight = useFigures(column.figure !== undefined);

  const choose = (index: number, range: boolean): void => {
    const id = shown[index];
    if (id === undefined) return;
    const next = new Set(chosen);
    const from = range && anchor ? shown.indexOf(anchor) : -1;
    if (from >= 0) shown.slice(Math.min(from, index), Math.max(from, index) + 1).forEach((one) => next.add(one));
    else if (!next.delete(id)) next.add(id);
    setAnchor(id);
    setChosen(next);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if ((event.ctrlKey || event.metaKey) && event.key === "a") {
      setChosen(new Set(shown));
      event.preventDefault();
    } else if (event.key === "Escape") setChosen(new Set());
  };

  return (
    <section className="list">
      <header>
        <TextInput
          size="xs" placeholder={t("guests.filterHint")} aria-label={t("guests.filter")} data-filter
          onChange={(event) => setWords(event.currentTarget.value)}
        />
        <Chosen shown={shown} chosen={chosen} />
      </header>
      <div className="table-head" style={GRID}>
        <span />
        {COLUMNS.map((one) => (
          <button
            key={one.id} type="button"
            onClick={() => setBy({ column: one.id, down: by.column === one.id && !by.down })}
          >
            {t(one.title)} {by.column === one.id ? (by.down ? "▾" : "▴") : ""}
          </button>
        ))}
      </div>
      <Rows
        key={useLanguage()} items={shown} label={props.title ?? t("guests.list")} role="grid" onKeyDown={onKeyDown} onSight={onSight}
        onPick={(index, event) => choose(index, event.shiftKey)} onOpen={(index) => go("qemu", inventory.get(shown[index] ?? "")?.vmid ?? 0, "console")}
        empty={<p className="hint">{t(words ? "guests.noMatch" : "guests.none")}</p>}
      >
        {(id, index) => <GuestRow id={id} index={index} chosen={chosen.has(id)} />}
      </Rows>
    </section>
  );
}

/** How many there are, or are chosen, and what can be done with those. */
function Chosen(props: { shown: readonly string[]; chosen: ReadonlySet<string> }): ReactNode {
  const { shown } = props;
  const chosen = useDeferredValue(props.chosen); // the row itself shows at once that it is
  const rows = useRows(useMemo(() => new Set(chosen.size ? shown.filter((id) => chosen.has(id)) : []), [shown, chosen]));
  return (
    <>
      <span className="hint" aria-live="polite">
        {rows.length ? t("guests.chosen", { n: rows.length, all: shown.length }) : t("guests.count", { n: shown.length })}
      </span>
      <Suspense fallback={null}>{rows.length > 0 && <ActionBar rows={rows} />}</Suspense>
    </>
  );
}

/** Figures come second by second for the rows in sight (which the returned function is told), or now and then for all. */
function useFigures(all: boolean): (ids: readonly string[]) => void {
  const [sight, setSight] = useState<readonly string[]>([]);
  const [settle] = useState(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    return (ids: readonly string[]): void => {
      clearTimeout(timer);
      timer = setTimeout(() => setSight((old) => (old.length === ids.length && old.every((id, i) => id === ids[i]) ? old : ids)), SETTLE_MS);
    };
  });
  useEffect(() => watch(all ? ["*"] : sight), [all, sight]);
  return settle;
}
