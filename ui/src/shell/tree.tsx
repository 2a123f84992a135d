/** The tree on the left: the whole inventory, grouped, as one flat list of lines. */

import { Select } from "@mantine/core";
import { type KeyboardEvent, type ReactNode, useDeferredValue, useMemo, useState } from "react";

import { t, useLanguage } from "../i18n";
import { go, href, usePlace } from "../lib/router";
import { type Resource, useAll } from "../store/inventory";
import { Rows } from "../ui/rows";
import { State } from "../ui/state";
import { type Line, lines, type View, VIEWS } from "./views";

const KEPT = "tarmac-tree";

export function placeOf(row: Resource): string[] {
  if (row.type === "pool") return ["pools", row.id.replace("/pool/", "")];
  return [row.type === "node" ? "node" : row.type, String(row.vmid ?? row.storage ?? row.node ?? row.id)];
}

export function Tree(): ReactNode {
  const rows = useDeferredValue(useAll());
  const { parts } = usePlace();
  const [view, setView] = useState<View>(() => (localStorage.getItem(KEPT) as View | null) ?? "server");
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const shown = useMemo(() => lines(rows, view, closed), [rows, view, closed, useLanguage()]);

  const choose = (next: View): void => {
    localStorage.setItem(KEPT, next);
    setView(next);
  };
  const fold = (id: string, open: boolean): void => {
    const next = new Set(closed);
    if (open) next.delete(id);
    else next.add(id);
    setClosed(next);
  };
  const here = shown.findIndex((line) => line.row && selected(line.row, parts));
  const onKeyDown = (event: KeyboardEvent): void => {
    const line = shown[here];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      for (let i = here + step; i >= 0 && i < shown.length; i += step) {
        const row = shown[i]?.row;
        if (row) {
          go(...placeOf(row));
          break;
        }
      }
      event.preventDefault();
    } else if (line?.group && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
      fold(line.group.id, event.key === "ArrowRight");
    }
  };

  return (
    <>
      <Select
        size="xs" value={view} data={VIEWS.map((one) => ({ value: one, label: t(`shell.view_${one}`) }))} allowDeselect={false} aria-label={t("shell.view")}
        onChange={(value) => choose((value as View | null) ?? "server")}
      />
      <Rows items={shown} keyOf={(line) => line.key} label={t("shell.inventory")} role="tree" onKeyDown={onKeyDown}>
        {(line) => <TreeLine line={line} selected={!!line.row && selected(line.row, parts)} fold={fold} />}
      </Rows>
    </>
  );
}

function selected(row: Resource, parts: readonly string[]): boolean {
  const [type, id] = placeOf(row);
  return parts[0] === type && parts[1] === id;
}

function TreeLine(props: { line: Line; selected: boolean; fold: (id: string, open: boolean) => void }): ReactNode {
  const { line, fold } = props;
  const { row, group } = line;
  return (
    <div
      role="treeitem" aria-level={line.level} aria-selected={props.selected} aria-expanded={group?.open}
      className="tree-line" style={{ paddingInlineStart: line.level * 12 }}
    >
      {group && (
        <button
          type="button" tabIndex={-1} onClick={() => fold(group.id, !group.open)}
          aria-label={t(group.open ? "shell.fold" : "shell.unfold", { title: line.title })}
        >
          {group.open ? "▾" : "▸"}
        </button>
      )}
      {row ? (
        <a href={href(...placeOf(row))} tabIndex={-1}>
          <State row={row} /> {line.title}
        </a>
      ) : (
        <span>{line.title}</span>
      )}
      {group && <span className="count">{group.count}</span>}
    </div>
  );
}
