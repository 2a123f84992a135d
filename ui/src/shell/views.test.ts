import { expect, test } from "vitest";

import { lines, search } from "./views";

const rows = [
  { id: "node/n1", type: "node", node: "n1" },
  { id: "qemu/100", type: "qemu", vmid: 100, node: "n1", name: "web-1", tags: "prod;web", status: "running", pool: "shop" },
  { id: "qemu/101", type: "qemu", vmid: 101, node: "n1", name: "db", status: "stopped" },
  { id: "storage/n1/local", type: "storage", node: "n1", storage: "local" },
];

test("views group the same rows differently, and a folded group hides its own", () => {
  expect(lines(rows, "server", new Set()).map((line) => line.title)).toEqual(["n1", "100 web-1", "101 db", "local"]);
  expect(lines(rows, "server", new Set(["node/n1"])).map((line) => line.title)).toEqual(["n1"]);
  expect(lines(rows, "tag", new Set()).map((line) => line.title)).toEqual(["prod", "100 web-1", "web", "100 web-1", "no tag", "101 db"]);
  expect(lines(rows, "pool", new Set()).map((line) => line.title)).toEqual(["shop", "100 web-1", "no pool", "101 db"]);
});

test("search takes words together, and fields by name", () => {
  const found = (text: string) => search(rows, text).map((row) => row.id);
  expect(found("web prod")).toEqual(["qemu/100"]);
  expect(found("status:stopped")).toEqual(["qemu/101"]);
  expect(found("tag:web status:stopped")).toEqual([]);
  expect(found("")).toHaveLength(4);
});
