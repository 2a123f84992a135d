/** What tasks come to: waited for by what the stream tells, and asked once at the end. */

import type { Problem } from "../api/client";
import { ask } from "../api/client";
import { tasks } from "../store/tasks";

/** Resolves when a task has ended: with its error, or null when it ended well. Where nothing tells of the task itself
 * (no stream), it is asked whenever something may have changed. */
export function ended(upid: string): Promise<Problem | null> {
  const node = upid.split(":")[1] ?? "";
  return new Promise((resolve) => {
    let asking = false;
    let again = false; // something came while it was asked: the answer may be older
    const look = async (): Promise<void> => {
      const row = tasks.get(upid);
      again ||= asking;
      if (asking || row?.status === "RUNNING") return;
      asking = true;
      try {
        const status = await ask("GET /nodes/{node}/tasks/{upid}/status", { node, upid });
        if (status.status !== "stopped") return;
        const exit = status.exitstatus ?? "";
        stop();
        again = false;
        resolve(exit === "OK" || exit.startsWith("WARNINGS") ? null : (status.error ?? { code: "task-failed", message: exit }));
      } catch {
        // It will be asked again.
      } finally {
        asking = false;
        if (again) {
          again = false;
          void look();
        }
      }
    };
    const stop = tasks.onTask(upid)(() => void look());
    void look();
  });
}
