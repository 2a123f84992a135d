/**
 * Keeps the inventory and the tasks true: from the server's event stream (docs/format/events.md), and where there is no
 * stream by asking for the whole list now and then. While the tab is hidden, nothing is
 * asked, and no figures come.
 */

import { call } from "../api/client";
import { open, takeOver } from "./ahead";
import { inventory, type Resource } from "./inventory";
import { type TaskRow, tasks } from "./tasks";

interface Message {
  type: "snapshot" | "resume" | "delta" | "metrics" | "log" | "resync" | "end";
  epoch?: string | number;
  seq?: number;
  more?: number;
  rows?: Resource[] | [string, ...(number | null)[]][];
  tasks?: TaskRow[];
  gone?: string[];
  columns?: string[];
  upid?: string;
  start?: number;
  lines?: string[];
  end?: number;
}

const POLL_SECONDS = 3;
const AGAIN_MS = 1000;

let running = false;
let reachable = true;
let streaming = false;
let socket: WebSocket | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;
let position: { epoch?: string; since?: string } = {};
let parts: Resource[] = [];
const watched = new Map<symbol, readonly string[]>();
const followed = new Map<symbol, { upid: string; take: (start: number, lines: string[]) => void }>();
const listeners = new Set<() => void>();

export function start(): () => void {
  running = true;
  document.addEventListener("visibilitychange", visible);
  connect();
  return () => {
    running = false;
    clearTimeout(timer);
    socket?.close();
    document.removeEventListener("visibilitychange", visible);
  };
}

/** Something was done: look at once, where nothing tells us. */
export function soon(): void {
  if (!running || streaming) return;
  clearTimeout(timer);
  timer = setTimeout(() => void poll(), 50);
}

/** Have the figures of these every second (`*`: of all, less often) until what is returned is called. */
export function watch(ids: readonly string[]): () => void {
  const mark = Symbol("watch");
  watched.set(mark, ids);
  tell();
  return () => {
    watched.delete(mark);
    tell();
  };
}

/** Have the lines of a task's log as they come. */
export function follow(upid: string, take: (start: number, lines: string[]) => void): () => void {
  const mark = Symbol(upid);
  followed.set(mark, { upid, take });
  tell();
  return () => {
    followed.delete(mark);
    tell();
  };
}

export function isReachable(): boolean {
  return reachable;
}

export function onReachable(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function wishes(): { watch: string[]; tasks: string[] } {
  return { watch: document.hidden ? [] : [...new Set([...watched.values()].flat())], tasks: [...new Set([...followed.values()].map((one) => one.upid))] };
}

let telling = false;

/** Once for all wishes that change in one go. */
function tell(): void {
  if (telling) return;
  telling = true;
  queueMicrotask(() => {
    telling = false;
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(wishes()));
  });
}

function connect(): void {
  if (!running || document.hidden) return;
  const early = takeOver();
  const opened = early?.socket ?? open(position);
  socket = opened;
  const heard = (message: Message): void => {
    streaming = true;
    became(true);
    take(message);
  };
  opened.onopen = tell;
  opened.onmessage = (event: MessageEvent<string>) => heard(JSON.parse(event.data) as Message);
  early?.messages.forEach((message) => heard(message as Message));
  tell();
  opened.onclose = () => {
    if (socket !== opened) return;
    socket = null;
    streaming = false;
    if (!running || document.hidden) return;
    void poll(); // says whether the server is there at all, and keeps the page true meanwhile
  };
}

function take(message: Message): void {
  if (message.type === "resync") position = {};
  if (message.type === "snapshot") snapshot(message);
  if (message.type === "delta") {
    const rows = (message.rows ?? []) as Resource[];
    inventory.patch([...rows.map((row) => [row.id, row] as const), ...gone(message).map((id) => [id, null] as const)], true);
    tasks.put(message.tasks ?? []);
  }
  if (message.type === "metrics") metrics(message);
  if (message.type === "log") followed.forEach((one) => one.upid === message.upid && one.take(message.start ?? 0, message.lines ?? []));
  if (message.more) return;
  if (message.epoch !== undefined) position.epoch = String(message.epoch);
  if (message.seq !== undefined) position.since = String(message.seq);
}

function snapshot(message: Message): void {
  parts = [...parts, ...((message.rows ?? []) as Resource[])];
  tasks.put(message.tasks ?? []);
  if (message.more) return;
  inventory.snapshot(parts);
  parts = [];
}

function gone(message: Message): string[] {
  return (message.gone ?? []).filter((id) => !id.startsWith("UPID:"));
}

function metrics(message: Message): void {
  const found = figures(message.columns ?? [], (message.rows ?? []) as [string, ...(number | null)[]][]);
  inventory.patch(found.filter(([id]) => inventory.get(id)));
}

/** Rows of figures by id. The first column is the id itself. */
export function figures(columns: readonly string[], rows: readonly [string, ...(number | null)[]][]): [string, Partial<Resource>][] {
  return rows.map((row) => [row[0], Object.fromEntries(columns.slice(1).map((name, i) => [name, row[i + 1] ?? undefined]))]);
}

async function poll(): Promise<void> {
  const begun = performance.now();
  try {
    inventory.snapshot(await call<Resource[]>("GET", "/cluster/resources"));
    tasks.unknown();
    became(true);
  } catch {
    became(false);
  }
  if (!running || document.hidden || socket) return;
  clearTimeout(timer);
  timer = setTimeout(connect, Math.max(AGAIN_MS, reachable ? POLL_SECONDS * 1000 + 2 * (performance.now() - begun) : AGAIN_MS));
}

function visible(): void {
  if (!document.hidden && running && !socket) connect();
  else tell();
}

function became(now: boolean): void {
  if (now === reachable) return;
  reachable = now;
  listeners.forEach((listener) => listener());
}
