/** Doing an action on one or many: the calls, a few at a time, and what came of each. */

import { ApiError, call, type Problem } from "../api/client";
import { soon } from "../store/feed";
import { type Resource, titleOf } from "../store/inventory";
import type { Action } from "./registry";
import { ended } from "./settle";

export interface Outcome {
  row: Resource;
  action: Action;
  /** The task, when the server began one. */
  upid?: string;
  problem?: Problem;
}

const AT_ONCE = 6;
let outcomes: Outcome[] = [];
const listeners = new Set<() => void>();

export async function run(action: Action, rows: readonly Resource[]): Promise<Outcome[]> {
  const left = [...rows];
  const done: Outcome[] = [];
  const worker = async (): Promise<void> => {
    for (let row = left.shift(); row; row = left.shift()) done.push(await one(action, row));
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, rows.length) }, worker));
  soon();
  report(done.filter((outcome) => outcome.problem));
  for (const outcome of done) if (outcome.upid) void settle(outcome, outcome.upid);
  return done;
}

/** A task that fails later is a failure as well; one that ends well makes earlier failures of the same old. */
async function settle(outcome: Outcome, upid: string): Promise<void> {
  const problem = await ended(upid);
  outcomes = outcomes.filter((kept) => kept.action.id !== outcome.action.id || kept.row.id !== outcome.row.id);
  if (problem) report([{ ...outcome, problem }]);
  else listeners.forEach((listener) => listener());
}

async function one(action: Action, row: Resource): Promise<Outcome> {
  try {
    const upid = await call<string | null>(action.method, action.path(row), action.params);
    return upid ? { row, action, upid } : { row, action };
  } catch (raised) {
    return { row, action, problem: problemFrom(raised, titleOf(row)) };
  }
}

export function problemFrom(raised: unknown, what: string): Problem {
  if (raised instanceof ApiError) return raised.problem;
  return { code: "page", message: `${what}: ${String(raised)}` };
}

/** Failures that wait to be read. */
export function failures(): Outcome[] {
  return outcomes;
}

export function dismiss(outcome: Outcome): void {
  outcomes = outcomes.filter((kept) => kept !== outcome);
  listeners.forEach((listener) => listener());
}

export function onFailures(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function report(failed: Outcome[]): void {
  if (!failed.length) return;
  outcomes = [...failed, ...outcomes].slice(0, 50);
  listeners.forEach((listener) => listener());
}
