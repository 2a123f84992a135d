/** A state by shape and word, never by colour alone. */

import type { ReactNode } from "react";

import { word } from "../i18n";
import type { Resource } from "../store/inventory";

export function stateOf(row: Resource): string {
  if (row.template) return "template";
  const inner = row["qmpstatus"];
  return row.status === "running" && typeof inner === "string" && inner !== "running" ? inner : (row.status ?? "unknown");
}

const MARKS: Record<string, string> = {
  running: "▶", online: "▶", available: "●", stopped: "■", paused: "❚❚", template: "◆", offline: "✕",
};

export function State(props: { row: Resource; word?: boolean }): ReactNode {
  const state = stateOf(props.row);
  const said = word("common", `state_${state}`, state);
  return (
    <span className={`state state-${state}`} title={said}>
      <span aria-hidden="true">{MARKS[state] ?? "?"}</span>
      {props.word ? ` ${said}` : <span className="unseen">{said}</span>}
    </span>
  );
}
