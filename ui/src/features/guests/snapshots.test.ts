import { expect, test } from "vitest";

import { ordered } from "./snapshots";

test("a tree is shown parents first, and NOW below what it goes on from", () => {
  const rows = [
    { name: "current", parent: "b" },
    { name: "c", parent: "a", snaptime: 30 },
    { name: "b", parent: "a", snaptime: 20 },
    { name: "a", snaptime: 10 },
  ];
  expect(ordered(rows).map(({ snapshot, depth }) => `${depth} ${snapshot.name}`)).toEqual([
    "0 a",
    "1 b",
    "2 current",
    "1 c",
  ]);
});

test("a snapshot whose parent is gone is a root", () => {
  expect(ordered([{ name: "b", parent: "gone" }, { name: "current", parent: "b" }]).map((one) => one.depth)).toEqual([0, 1]);
});
