/** What a running guest refuses, or has only from its next start, is done between a shutdown and a start: ordinary
 * requests one after another, and what became of each. Pure but for what it is given to do. */

import type { Problem } from "../api/client";
import type { ItemState } from "./run";

export const STEPS = ["shutdown", "apply", "start"] as const;
export type Step = (typeof STEPS)[number];

/** Each resolves with why it failed, or null. `staysOff`: what was changed cannot run (a template). */
export type Work = Record<Step, () => Promise<Problem | null>> & { staysOff?: boolean };

export interface Course {
  states: Record<Step, ItemState | "left">;
  /** Why the first step that failed did. */
  problem?: Problem;
  failed?: Step;
  gaveUp: boolean;
  over: boolean;
}

/** `wanted` says whether it still is: until the guest is off it can be given up, and nothing is changed then. A guest that
 * is off is started again whatever became of the change. */
export async function whileOff(work: Work, wanted: () => boolean, tell: (course: Course) => void): Promise<Course> {
  let course: Course = { states: { shutdown: "waiting", apply: "waiting", start: "waiting" }, gaveUp: false, over: false };
  const put = (change: Partial<Omit<Course, "states">>, states: Partial<Course["states"]> = {}): void => {
    course = { ...course, ...change, states: { ...course.states, ...states } };
    tell(course);
  };
  const step = async (name: Step): Promise<boolean> => {
    put({}, { [name]: "running" });
    const problem = await work[name]();
    put(problem && !course.problem ? { problem, failed: name } : {}, { [name]: problem ? "failed" : "done" });
    return problem === null;
  };
  const off = await step("shutdown");
  put({ gaveUp: !wanted() });
  const applied = off && !course.gaveUp && (await step("apply"));
  if (off && !(applied && work.staysOff)) await step("start");
  const left = STEPS.filter((name) => course.states[name] === "waiting");
  put({ over: true }, Object.fromEntries(left.map((name) => [name, "left"])));
  return course;
}
