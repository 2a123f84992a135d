/** Tasks as the API gives them. */

import { ask } from "../../api/client";
import type { TaskRow, TaskStatus } from "../../api/types";
import { word } from "../../i18n";

/** Of a log at a time. */
export const LINES = 1000;
export const MOST = 100;

export type { TaskStatus };
export type Task = Pick<TaskRow, "upid" | "node" | "type" | "id" | "user" | "starttime" | "endtime" | "status">;

/** A task as its id alone tells it: `UPID:node:pid:pstart:starttime:type:id:user:`. */
export function parsed(upid: string): Task {
  const [, node = "", , , start = "0", type = "", id = "", user = ""] = upid.split(":");
  return { upid, node, type, id, user, starttime: parseInt(start, 16), status: "RUNNING" };
}

/** The guest that a task is about, if it is about one. */
export function objectOf(task: { id: string }): string {
  return /^\d+$/.test(task.id) ? `qemu/${task.id}` : "";
}

export function nameOf(task: { type: string; id: string }): string {
  const verb = word("tasks", `type_${task.type.replaceAll("-", "_")}`, task.type);
  return task.id ? `${verb} ${task.id}` : verb;
}

export function ended(task: Task): boolean {
  return task.status !== "RUNNING";
}

export function failed(task: Task): boolean {
  return ended(task) && task.status !== "OK" && !task.status.startsWith("WARNINGS");
}

export async function recent(node: string, more: { vmid?: number } = {}): Promise<Task[]> {
  return ask("GET /nodes/{node}/tasks", { node, source: "all", limit: MOST, ...more });
}

export async function statusOf(task: { node: string; upid: string }): Promise<TaskStatus> {
  return ask("GET /nodes/{node}/tasks/{upid}/status", { node: task.node, upid: task.upid });
}

export async function logOf(task: { node: string; upid: string }, start: number): Promise<string[]> {
  const lines = await ask("GET /nodes/{node}/tasks/{upid}/log", { node: task.node, upid: task.upid, start, limit: LINES });
  return lines.map((line) => line.t);
}

/** The newest tasks, with what the stream has told since they were asked for; newest first, those that run before all. */
export function merged(asked: readonly Task[], told: readonly Task[], most: number): Task[] {
  const rows = new Map(asked.map((task) => [task.upid, task]));
  for (const task of told) rows.set(task.upid, task);
  const sorted = [...rows.values()].sort((a, b) => Number(ended(a)) - Number(ended(b)) || b.starttime - a.starttime);
  return sorted.slice(0, most);
}

export function stop(task: { node: string; upid: string }): Promise<null> {
  return ask("DELETE /nodes/{node}/tasks/{upid}", { node: task.node, upid: task.upid });
}
