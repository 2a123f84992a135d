/** The tasks that run and the newest that have ended, as the stream tells them. */

import { useSyncExternalStore } from "react";

export interface TaskRow {
  upid: string;
  node: string;
  type: string;
  id: string;
  user: string;
  starttime: number;
  endtime?: number;
  status: string;
  progress?: { done: number; total: number; unit: string };
}

const KEPT = 500;

class Tasks {
  private rows = new Map<string, TaskRow>();
  private version = 0;
  private readonly listeners = new Set<() => void>();

  get(upid: string): TaskRow | undefined {
    return this.rows.get(upid);
  }

  put(changes: readonly TaskRow[]): void {
    if (!changes.length) return;
    for (const row of changes) this.rows.set(row.upid, row);
    if (this.rows.size > 2 * KEPT) {
      const newest = [...this.rows.values()].sort((a, b) => b.starttime - a.starttime).slice(0, KEPT);
      this.rows = new Map(newest.map((row) => [row.upid, row]));
    }
    this.changed();
  }

  /** Something may have changed: whoever shows lists of tasks asks again. */
  changed(): void {
    this.version += 1;
    this.listeners.forEach((listener) => listener());
  }

  onChange = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  now = (): number => this.version;
}

export const tasks = new Tasks();

/** A number that changes whenever a task did. */
export function useTaskVersion(): number {
  return useSyncExternalStore(tasks.onChange, tasks.now);
}
