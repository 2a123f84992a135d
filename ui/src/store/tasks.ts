/** The tasks that run and the newest that have ended, as the stream tells them. */

import { useMemo, useSyncExternalStore } from "react";

import type { TaskRow as Task, TaskProgress } from "../api/types";

/** A row of the task list, how far a task is and what it waits for. */
export type TaskRow = Task & { progress?: TaskProgress; "waits-for"?: string };

const KEPT = 2000;
const PAUSE_MS = 250;

class Tasks {
  private rows = new Map<string, TaskRow>();
  private version = 0;
  private asked = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private late = false;
  private readonly byObject = new Map<string, number>();
  private readonly byTask = new Map<string, Set<() => void>>();
  private readonly listeners = new Set<() => void>();

  all(): TaskRow[] {
    return [...this.rows.values()];
  }

  get(upid: string): TaskRow | undefined {
    return this.rows.get(upid);
  }

  put(changes: readonly TaskRow[]): void {
    if (!changes.length) return;
    for (const row of changes) {
      const old = this.rows.get(row.upid);
      this.rows.set(row.upid, row);
      // Where a task stands matters to whoever shows its object; how far it is does not.
      if (old?.status !== row.status || old?.endtime !== row.endtime) this.byObject.set(row.id, (this.byObject.get(row.id) ?? 0) + 1);
    }
    if (this.rows.size > 2 * KEPT) {
      const newest = [...this.rows.values()].sort((a, b) => b.starttime - a.starttime).slice(0, KEPT);
      this.rows = new Map(newest.map((row) => [row.upid, row]));
    }
    for (const row of changes) this.byTask.get(row.upid)?.forEach((listener) => listener());
    this.changed();
  }

  /** Something may have changed: whoever shows lists of tasks asks again. */
  changed(): void {
    this.version += 1;
    this.tell();
  }

  /** There is no stream: nobody knows what may have changed. */
  unknown(): void {
    this.asked += 1;
    this.byTask.forEach((listeners) => listeners.forEach((listener) => listener()));
    this.changed();
  }

  /** At once, and then at most a few times a second: a thousand tasks at a time must not ask a thousand times. */
  private tell(): void {
    if (this.timer !== undefined) {
      this.late = true;
      return;
    }
    this.listeners.forEach((listener) => listener());
    this.timer = setTimeout(() => {
      this.timer = undefined;
      if (this.late) {
        this.late = false;
        this.tell();
      }
    }, PAUSE_MS);
  }

  onChange = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Called at once when this task changed, or when nobody knows whether it did. */
  onTask(upid: string): (listener: () => void) => () => void {
    return (listener) => {
      const listeners = this.byTask.get(upid) ?? new Set();
      this.byTask.set(upid, listeners.add(listener));
      return () => {
        if (listeners.delete(listener) && !listeners.size && this.byTask.get(upid) === listeners) this.byTask.delete(upid);
      };
    };
  }

  askedNow = (): number => this.asked;

  now = (): number => this.version;

  nowOf(object: string): number {
    return (this.byObject.get(object) ?? 0) + this.asked;
  }
}

export const tasks = new Tasks();

/** A number that changes whenever a task did. */
export function useTaskVersion(): number {
  return useSyncExternalStore(tasks.onChange, tasks.now);
}

/** A number that changes whenever a task of this object (a guest's number, say) came or ended. */
export function useTasksOf(object: string): number {
  return useSyncExternalStore(tasks.onChange, () => tasks.nowOf(object));
}

/** A task as the stream last told it; undefined for one that it never told of. */
export function useTask(upid: string): TaskRow | undefined {
  const subscribe = useMemo(() => tasks.onTask(upid), [upid]);
  return useSyncExternalStore(subscribe, () => tasks.get(upid));
}

/** A number that changes while there is no stream, whenever it is time to ask. */
export function useAsked(): number {
  return useSyncExternalStore(tasks.onChange, tasks.askedNow);
}
