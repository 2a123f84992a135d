import { expect, test } from "vitest";

import { Inventory } from "./inventory";

const row = (id: string, more: object = {}) => ({ id, type: "qemu", ...more });

test("an equal row stays the same object, and nobody who shows it is told", () => {
  const store = new Inventory();
  store.snapshot([row("qemu/1", { cpu: 0 }), row("qemu/2", { cpu: 0 })]);
  const before = store.get("qemu/1");
  const told: string[] = [];
  store.onRow("qemu/1", () => told.push("1"));
  store.onRow("qemu/2", () => told.push("2"));
  store.snapshot([row("qemu/1", { cpu: 0 }), row("qemu/2", { cpu: 1 })]);
  expect(store.get("qemu/1")).toBe(before);
  expect(told).toEqual(["2"]);
});

test("patches change fields and remove rows", () => {
  const store = new Inventory();
  store.snapshot([row("qemu/1", { status: "stopped" }), row("qemu/2")]);
  store.patch([["qemu/1", { status: "running" }], ["qemu/2", null]]);
  expect(store.all()).toEqual([row("qemu/1", { status: "running" })]);
});

test("a patch of what stays in its place keeps the order; what comes, goes or moves is put in order", () => {
  const store = new Inventory();
  store.snapshot([row("qemu/2", { vmid: 2 }), row("qemu/1", { vmid: 1 })]);
  const ids = (): string[] => store.all().map((one) => one.id);
  expect(ids()).toEqual(["qemu/1", "qemu/2"]);
  const before = store.all();
  store.patch([["qemu/2", { name: "b" }]]);
  expect(ids()).toEqual(["qemu/1", "qemu/2"]);
  expect(store.all()).not.toBe(before);
  expect(store.all()[1]).toEqual(row("qemu/2", { vmid: 2, name: "b" }));
  store.patch([["qemu/1", { template: 1 }]]);
  expect(ids()).toEqual(["qemu/2", "qemu/1"]);
  store.patch([["qemu/0", { type: "qemu", vmid: 0 }], ["qemu/2", null]]);
  expect(ids()).toEqual(["qemu/0", "qemu/1"]);
});

test("who reads a field is told of that field, and of what comes, goes or moves", () => {
  const store = new Inventory();
  store.snapshot([row("qemu/1", { vmid: 1, tags: "a" }), row("qemu/2", { vmid: 2 })]);
  const seen = (): number[] => [store.version(["tags"]), store.version(["cpu", "name"])];
  const [tags, names] = seen();
  store.patch([["qemu/1", { cpu: 0.5 }]]);
  expect(seen()).toEqual([tags, (names ?? 0) + 1]);
  store.patch([["qemu/1", { cpu: 0.5 }]]);
  expect(seen()).toEqual([tags, (names ?? 0) + 1]); // nothing new in it
  store.patch([["qemu/2", null]]);
  expect(seen().every((now) => now > (names ?? 0) + 1)).toBe(true);
});

test("listeners hear once for all that came before a frame", () => {
  const frames: (() => void)[] = [];
  const store = new Inventory((work) => frames.push(work));
  store.snapshot([row("qemu/1"), row("qemu/2")]);
  frames.pop()?.();
  const told: string[][] = [];
  store.onAny((changed) => told.push([...changed]));
  store.patch([["qemu/1", { cpu: 1 }]]);
  store.patch([["qemu/2", { cpu: 1 }]]);
  store.patch([["qemu/1", { cpu: 2 }]]);
  expect(told).toEqual([]);
  expect(store.get("qemu/1")?.cpu).toBe(2);
  expect(frames).toHaveLength(1);
  frames[0]?.();
  expect(told).toEqual([["qemu/1", "qemu/2"]]);
});
