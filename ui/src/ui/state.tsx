/** A state by shape and word, never by colour alone. */

import type { ReactNode } from "react";

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
  return (
    <span className={`state state-${state}`} title={state}>
      <span aria-hidden="true">{MARKS[state] ?? "?"}</span>
      {props.word ? ` ${state}` : <span className="unseen">{state}</span>}
    </span>
  );
}
