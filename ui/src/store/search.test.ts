import { expect, test } from "vitest";

import { firstOf } from "./search";

const rows = [
  { id: "node/n1", type: "node", node: "n1" },
  { id: "qemu/100", type: "qemu", vmid: 100, node: "n1", name: "Web-1", tags: "prod;web", status: "running", pool: "shop" },
  { id: "qemu/101", type: "qemu", vmid: 101, node: "n1", name: "db", status: "stopped" },
  { id: "storage/n1/local", type: "storage", node: "n1", storage: "local" },
];

test("search takes words together, and fields by name", () => {
  const found = (text: string) => firstOf(rows, text, 9).map((row) => row.id);
  expect(found("web prod")).toEqual(["qemu/100"]);
  expect(found("status:stopped")).toEqual(["qemu/101"]);
  expect(found("tag:web status:stopped")).toEqual([]);
  expect(found("")).toHaveLength(4);
});

test("a row that has changed is found by what it is now", () => {
  expect(firstOf([{ ...rows[2], name: "mail" } as (typeof rows)[number]], "mail", 9)).toHaveLength(1);
});

test("what comes after the first so many is not looked at", () => {
  const seen: string[] = [];
  const also = (row: { id: string }): boolean => (seen.push(row.id), row.id !== "node/n1");
  expect(firstOf(rows, "n1", 1, also).map((row) => row.id)).toEqual(["qemu/100"]);
  expect(seen).toEqual(["node/n1", "qemu/100"]);
});
