/** The tree on the left: the whole inventory, grouped, as one flat list of lines. */

import { type KeyboardEvent, memo, type MouseEvent, type ReactNode, useMemo, useState } from "react";

import { t, useLanguage } from "../i18n";
import { go, href, usePlace } from "../lib/router";
import { inventory, type Resource, useResource, useVersion } from "../store/inventory";
import { Rows } from "../ui/rows";
import { State } from "../ui/state";
import { Group, type Line, lines, READS, titleOfLine, type View, VIEWS } from "./views";

const KEPT = "tarmac-tree";

export function placeOf(row: Resource): string[] {
  if (row.type === "pool") return ["pools", row.id.replace("/pool/", "")];
  return [row.type === "node" ? "node" : row.type, String(row.vmid ?? row.storage ?? row.node ?? row.id)];
}

export function Tree(): ReactNode {
  const { parts } = usePlace();
  const [view, setView] = useState<View>(() => (localStorage.getItem(KEPT) as View | null) ?? "server");
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const language = useLanguage();
  const shown = useMemo(() => lines(inventory.all(), view, closed), [useVersion(READS[view]), view, closed, language]);

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
  const onPick = (index: number, event: MouseEvent): void => {
    const line = shown[index];
    if (line instanceof Group && (event.target as HTMLElement).closest("button")) fold(line.id, !line.open);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const here = shown.findIndex((line) => selected(line, parts));
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const line = shown[here];
    if (step) {
      for (let i = here + step; i >= 0 && i < shown.length; i += step) {
        const row = rowOf(shown[i] as Line);
        if (row) {
          go(...placeOf(row));
          break;
        }
      }
      event.preventDefault();
    } else if (line instanceof Group && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
      fold(line.id, event.key === "ArrowRight");
    }
  };

  return (
    <>
      <select className="choice" value={view} aria-label={t("shell.view")} onChange={(event) => choose(event.currentTarget.value as View)}>
        {VIEWS.map((one) => (
          <option key={one} value={one}>
            {t(`shell.view_${one}`)}
          </option>
        ))}
      </select>
      <Rows key={language} items={shown} label={t("shell.inventory")} role="tree" onKeyDown={onKeyDown} onPick={onPick}>
        {(line) =>
          line instanceof Group ? (
            <Head group={line} selected={selected(line, parts)} />
          ) : (
            <Leaf id={line.id} selected={selected(line, parts)} />
          )
        }
      </Rows>
    </>
  );
}

function rowOf(line: Line): Resource | undefined {
  return line instanceof Group ? line.row : line;
}

function selected(line: Line, parts: readonly string[]): boolean {
  const row = rowOf(line);
  if (!row || parts[0] !== row.type) return false;
  const [type, id] = placeOf(row);
  return parts[0] === type && parts[1] === id;
}

const Head = memo(function Head(props: { group: Group; selected: boolean }): ReactNode {
  const { group } = props;
  return (
    <div role="treeitem" aria-level={1} aria-selected={props.selected} aria-expanded={group.open} className="tree-line tree-head">
      <button type="button" tabIndex={-1} aria-label={t(group.open ? "shell.fold" : "shell.unfold", { title: group.title })}>
        {group.open ? "▾" : "▸"}
      </button>
      {group.row ? <Thing id={group.row.id} title={group.title} /> : <span>{group.title}</span>}
      <span className="count">{group.count}</span>
    </div>
  );
});

const Leaf = memo(function Leaf(props: { id: string; selected: boolean }): ReactNode {
  return (
    <div role="treeitem" aria-level={2} aria-selected={props.selected} className="tree-line">
      <Thing id={props.id} />
    </div>
  );
});

function Thing(props: { id: string; title?: string }): ReactNode {
  const row = useResource(props.id);
  if (!row) return null;
  return (
    <a href={href(...placeOf(row))} tabIndex={-1}>
      <State row={row} /> {props.title ?? titleOfLine(row)}
    </a>
  );
}
