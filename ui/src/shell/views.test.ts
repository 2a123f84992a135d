import { expect, test } from "vitest";

import { Group, lines, titleOfLine, type View } from "./views";

const rows = [
  { id: "node/n1", type: "node", node: "n1" },
  { id: "qemu/100", type: "qemu", vmid: 100, node: "n1", name: "web-1", tags: "prod;web", status: "running", pool: "shop" },
  { id: "qemu/101", type: "qemu", vmid: 101, node: "n1", name: "db", status: "stopped" },
  { id: "storage/n1/local", type: "storage", node: "n1", storage: "local" },
];

test("views group the same rows differently, and a folded group hides its own", () => {
  const titles = (view: View, ...closed: string[]): string[] =>
    lines(rows, view, new Set(closed)).map((line) => (line instanceof Group ? line.title : titleOfLine(line)));
  expect(titles("server")).toEqual(["n1", "100 web-1", "101 db", "local"]);
  expect(titles("server", "node/n1")).toEqual(["n1"]);
  expect(titles("folder")).toEqual(["Nodes", "n1", "Guests", "100 web-1", "101 db", "Storages", "local"]);
  expect(titles("tag")).toEqual(["prod", "100 web-1", "web", "100 web-1", "no tag", "101 db"]);
  expect(titles("pool")).toEqual(["shop", "100 web-1", "no pool", "101 db"]);
});
