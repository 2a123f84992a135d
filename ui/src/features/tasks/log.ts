/** A task's log as it grows: what there is is asked for once, what comes is told by the stream. */

import { useEffect, useState } from "react";

import { follow } from "../../store/feed";
import { tasks } from "../../store/tasks";
import { LINES, logOf } from "./tasks";

export function useLog(task: { node: string; upid: string }): readonly string[] {
  const { node, upid } = task;
  const [lines, setLines] = useState<readonly string[]>([]);
  useEffect(() => {
    let have: readonly string[] = [];
    let asking = false;
    let gone = false;
    const take = (start: number, more: readonly string[]): void => {
      if (gone || start + more.length <= have.length) return;
      if (start > have.length) return void fetch(); // something lies between
      have = [...have.slice(0, start), ...more];
      setLines(have);
    };
    const fetch = async (): Promise<void> => {
      if (asking) return;
      asking = true;
      try {
        for (let full = true; full && !gone; ) {
          const start = have.length;
          const more = await logOf({ node, upid }, start);
          take(start, more);
          full = more.length === LINES;
        }
      } catch {
        // What the stream tells, or the next time that it is asked, fills the gap.
      } finally {
        asking = false;
      }
    };
    setLines([]);
    void fetch();
    const stop = follow(upid, take);
    let asked = tasks.askedNow();
    const forget = tasks.onChange(() => {
      if (tasks.askedNow() === asked) return; // there is a stream
      asked = tasks.askedNow();
      void fetch();
    });
    return () => {
      gone = true;
      stop();
      forget();
    };
  }, [node, upid]);
  return lines;
}
