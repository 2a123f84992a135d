import { expect, test } from "vitest";

import type { Problem } from "../api/client";
import { type Course, whileOff, type Work } from "./chain";

const NO: Problem = { code: "no", message: "no" };

function steps(fails: readonly string[], done: string[]): Work {
  const act = (name: string) => (): Promise<Problem | null> => {
    done.push(name);
    return Promise.resolve(fails.includes(name) ? NO : null);
  };
  return { shutdown: act("shutdown"), apply: act("apply"), start: act("start") };
}

async function walked(fails: readonly string[], wanted = (): boolean => true): Promise<[string[], Course, string[]]> {
  const [done, told] = [[] as string[], [] as string[]];
  const course = await whileOff(steps(fails, done), wanted, (now) => told.push(Object.values(now.states).join()));
  return [done, course, told];
}

test("each step after the other, each told", async () => {
  const [done, course, told] = await walked([]);
  expect(done).toEqual(["shutdown", "apply", "start"]);
  expect(course).toEqual({ states: { shutdown: "done", apply: "done", start: "done" }, gaveUp: false, over: true });
  expect(told).toContain("done,running,waiting");
});

test("a guest that does not shut down is left as it is", async () => {
  const [done, course] = await walked(["shutdown"]);
  expect(done).toEqual(["shutdown"]);
  expect(course).toMatchObject({ states: { apply: "left", start: "left" }, failed: "shutdown", problem: NO });
});

test("what fails while it is off does not leave it off", async () => {
  const [done, course] = await walked(["apply"]);
  expect(done).toEqual(["shutdown", "apply", "start"]);
  expect(course).toMatchObject({ states: { apply: "failed", start: "done" }, failed: "apply" });
});

test("given up while it goes off: nothing is changed, and it is started again", async () => {
  const [done, course] = await walked([], () => false);
  expect(done).toEqual(["shutdown", "start"]);
  expect(course).toMatchObject({ states: { apply: "left", start: "done" }, gaveUp: true });
});

test("what cannot run afterwards stays off, unless nothing came of it", async () => {
  const done: string[] = [];
  const course = await whileOff({ ...steps([], done), staysOff: true }, () => true, () => {});
  expect(done).toEqual(["shutdown", "apply"]);
  expect(course.states.start).toBe("left");
  const failed = await whileOff({ ...steps(["apply"], done), staysOff: true }, () => true, () => {});
  expect(failed.states.start).toBe("done");
});
