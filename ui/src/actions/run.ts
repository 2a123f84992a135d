/** Doing an action on one or many: the calls, a few at a time, what became of each, and again what failed. */

import { ApiError, call, type Params, type Problem } from "../api/client";
import { t } from "../i18n";
import { soon } from "../store/feed";
import { type Resource, titleOf } from "../store/inventory";
import { tasks } from "../store/tasks";
import { drop, type Toast, toast } from "../store/toasts";
import { type Action, actionById, labelOf } from "./registry";
import { ended } from "./settle";

export type Given = Params | ((row: Resource) => Params);
export type ItemState = "waiting" | "running" | "done" | "failed";

export interface Item {
  row: Resource;
  state: ItemState;
  /** The task, when the server began one. */
  upid?: string;
  problem?: Problem;
}

/** One order on one or many things. */
export interface Batch {
  key: number;
  action: Action;
  given: Given;
  /** What takes it back, where the registry has no action for that; null for what cannot be taken back. */
  back?: (row: Resource) => Params | null;
  items: readonly Item[];
}

const AT_ONCE = 6;
const KEPT = 20;
let batches: readonly Batch[] = [];
let last = 0;
const listeners = new Set<() => void>();
/** What was said of an order: it is taken away when nothing came of it. */
const told = new Map<number, Toast>();

/** Do it; the promise holds until each call was answered (tasks go on, and are followed). Never rejects. */
export async function run(action: Action, rows: readonly Resource[], given: Given = {}, back?: Batch["back"]): Promise<Batch> {
  last += 1;
  const key = last;
  const items = rows.map((row): Item => ({ row, state: "waiting" }));
  const begun: Batch = { key, action, given, items, ...(back ? { back } : {}) };
  put([begun, ...batches].slice(0, KEPT));
  await work(key, rows);
  const batch = batchOf(key) ?? begun;
  tell(batch);
  return batch;
}

/** Do again what failed. */
export async function retry(batch: Batch): Promise<void> {
  const rows = batch.items.filter((item) => item.state === "failed").map((item) => item.row);
  for (const row of rows) change(batch.key, row.id, { state: "waiting" });
  await work(batch.key, rows);
}

async function work(key: number, rows: readonly Resource[]): Promise<void> {
  const left = [...rows];
  const worker = async (): Promise<void> => {
    for (let row = left.shift(); row; row = left.shift()) await one(key, row);
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, rows.length) }, worker));
  soon();
}

async function one(key: number, row: Resource): Promise<void> {
  const batch = batchOf(key);
  if (!batch) return;
  const { action, given } = batch;
  const params = { ...action.params, ...(typeof given === "function" ? given(row) : given) };
  try {
    const upid = await call<string | null>(action.method, action.path(row), params);
    if (typeof upid !== "string" || !upid.startsWith("UPID:")) return change(key, row.id, { state: "done" });
    change(key, row.id, { state: "running", upid });
    if (batch.items.length > 1) follow();
    else void ended(upid).then((problem) => change(key, row.id, problem ? { state: "failed", problem } : { state: "done" }));
  } catch (raised) {
    change(key, row.id, { state: "failed", problem: problemFrom(raised, titleOf(row)) });
  }
}

/** What the tasks of the batches have come to, as the stream tells it. */
function follow(): void {
  for (const batch of batches.filter((one) => one.items.length > 1)) {
    for (const item of batch.items) {
      if (item.state !== "running" || !item.upid) continue;
      const task = tasks.get(item.upid);
      if (task?.endtime === undefined) continue;
      const good = task.status === "OK" || task.status.startsWith("WARNINGS");
      change(batch.key, item.row.id, good ? { state: "done" } : { state: "failed", problem: { code: "task", message: task.status } });
      if (!good) void explain(batch.key, item.row, item.upid);
    }
  }
}
tasks.onChange(follow);

/** Why a task failed, in five parts. */
async function explain(key: number, row: Resource, upid: string): Promise<void> {
  const status = await call<{ error?: Problem }>("GET", `/nodes/${row.node}/tasks/${encodeURIComponent(upid)}/status`).catch(() => null);
  if (status?.error) change(key, row.id, { state: "failed", problem: status.error });
}

/** The word that it was begun, and the way back where the registry knows one. */
function tell(batch: Batch): void {
  const begun = batch.items.filter((item) => item.state !== "failed").map((item) => item.row);
  const [first] = begun;
  if (!first) return;
  const what = begun.length === 1 ? titleOf(first) : t("guests.count", { n: begun.length });
  told.set(batch.key, toast(t("action.begun", { action: labelOf(batch.action), what }), wayBack(batch, begun)));
}

function wayBack(batch: Batch, begun: readonly Resource[]): (() => Promise<void>) | undefined {
  const { action, back } = batch;
  const inverse = action.inverse ? actionById(action.inverse) : undefined;
  if (inverse) return async () => void (await run(inverse, begun));
  const rows = back ? begun.filter((row) => back(row) !== null) : [];
  return back && rows.length ? async () => void (await run(action, rows, (row) => back(row) ?? {})) : undefined;
}

export function problemFrom(raised: unknown, what: string): Problem {
  if (raised instanceof ApiError) return raised.problem;
  return { code: "page", message: `${what}: ${String(raised)}` };
}

/** The orders that somebody may want to look at: those on many, and those that failed. */
export function shownBatches(): readonly Batch[] {
  return shown;
}
let shown: readonly Batch[] = [];

export function dismiss(batch: Batch): void {
  put(batches.filter((kept) => kept.key !== batch.key));
}

export function onBatches(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function batchOf(key: number): Batch | undefined {
  return batches.find((batch) => batch.key === key);
}

function change(key: number, id: string, next: Omit<Item, "row">): void {
  const now = batchOf(key);
  // What ended well makes an earlier failure of the same old.
  const old = (batch: Batch): boolean =>
    next.state === "done" && batch.key < key && batch.items.length === 1 && batch.action.id === now?.action.id && batch.items[0]?.row.id === id;
  put(batches.filter((batch) => !old(batch)).map((batch) => (batch.key === key ? { ...batch, items: batch.items.map((item) => (item.row.id === id ? { row: item.row, ...next } : item)) } : batch)));
  forget(key);
}

function forget(key: number): void {
  const said = told.get(key);
  if (!said || !batchOf(key)?.items.every((item) => item.state === "failed")) return;
  drop(said);
  told.delete(key);
}

function put(next: readonly Batch[]): void {
  batches = next;
  shown = next.filter((batch) => batch.items.length > 1 || batch.items.some((item) => item.state === "failed"));
  listeners.forEach((listener) => listener());
}
