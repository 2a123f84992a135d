import { expect, test } from "vitest";

import { merged, type Task } from "./tasks";

const task = (upid: string, starttime: number, status: string): Task => ({ upid, node: "n", type: "qmstart", id: "100", user: "u", starttime, status });

test("what the stream tells is newer than what was asked for, and running tasks come first", () => {
  const asked = [task("c", 3, "RUNNING"), task("b", 2, "OK"), task("a", 1, "OK")];
  const told = [task("c", 3, "OK"), task("old", 0, "RUNNING"), task("d", 4, "OK")];
  const rows = merged(asked, told, 4);
  expect(rows.map((one) => one.upid)).toEqual(["old", "d", "c", "b"]);
  expect(rows.find((one) => one.upid === "c")?.status).toBe("OK");
});
