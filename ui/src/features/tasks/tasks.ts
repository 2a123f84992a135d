/** Tasks as the API gives them. */

import { call, whole } from "../../api/client";
import { word } from "../../i18n";

export interface Task {
  upid: string;
  node: string;
  type: string;
  id: string;
  user: string;
  starttime: number;
  endtime?: number;
  status: string;
}

export interface TaskStatus extends Omit<Task, "status"> {
  status: "running" | "stopped";
  exitstatus?: string;
  progress?: { done: number; total: number; unit: string };
  "waits-for"?: string;
  steps?: { title: string; state: string }[];
  error?: { code: string; message: string };
  /** Of clones: their numbers, and what took how many seconds. */
  result?: { vmids?: number[]; times?: Record<string, Record<string, number>> };
}

export function nameOf(task: { type: string; id: string }): string {
  const verb = word("tasks", `type_${task.type}`, task.type);
  return task.id ? `${verb} ${task.id}` : verb;
}

export function ended(task: Task): boolean {
  return task.status !== "RUNNING" && task.status !== "running";
}

export function failed(task: Task): boolean {
  return ended(task) && task.status !== "OK" && !task.status.startsWith("WARNINGS");
}

export async function recent(node: string, more: Record<string, string | number> = {}): Promise<Task[]> {
  return call<Task[]>("GET", `/nodes/${node}/tasks`, { source: "all", limit: 100, ...more });
}

export async function statusOf(task: { node: string; upid: string }): Promise<TaskStatus> {
  return call<TaskStatus>("GET", `/nodes/${task.node}/tasks/${encodeURIComponent(task.upid)}/status`);
}

export async function logOf(task: { node: string; upid: string }, start: number): Promise<string[]> {
  const reply = await whole<{ n: number; t: string }[]>(
    "GET", `/nodes/${task.node}/tasks/${encodeURIComponent(task.upid)}/log`, { start, limit: 1000 },
  );
  return reply.data.map((line) => line.t);
}

export function stop(task: { node: string; upid: string }): Promise<null> {
  return call<null>("DELETE", `/nodes/${task.node}/tasks/${encodeURIComponent(task.upid)}`);
}
