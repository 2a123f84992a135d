import { expect, test } from "vitest";

import type { Resource } from "./inventory";
import { Lineup, natural } from "./lineup";

const row = (vmid: number, name: string, status = "running"): Resource => ({ id: `qemu/${vmid}`, type: "qemu", vmid, name, status });

function lined(rows: Resource[], down = false): { lineup: Lineup; change: (...rows: Resource[]) => boolean; looked: string[] } {
  const looked: string[] = [];
  const known = new Map(rows.map((one) => [one.id, one]));
  const wanted = (one: Resource): boolean => {
    looked.push(one.id);
    return one.status === "running";
  };
  const lineup = new Lineup(wanted, (one) => natural(one.name ?? ""), down);
  lineup.fill(rows);
  looked.length = 0;
  const change = (...changed: Resource[]): boolean => {
    changed.forEach((one) => known.set(one.id, one));
    return lineup.take(new Set(changed.map((one) => one.id)), (id) => known.get(id));
  };
  return { lineup, change, looked };
}

test("numbers in names count as numbers, equal names stand by number, and down is the reverse", () => {
  const rows = [row(1, "web-10"), row(2, "Web-9"), row(4, "a"), row(3, "a"), row(5, "z", "stopped")];
  expect(lined(rows).lineup.ids).toEqual(["qemu/3", "qemu/4", "qemu/2", "qemu/1"]);
  expect(lined(rows, true).lineup.ids).toEqual(["qemu/1", "qemu/2", "qemu/4", "qemu/3"]);
});

test("a change that moves nothing leaves the same list, and only what changed is looked at", () => {
  const { lineup, change, looked } = lined([row(1, "a"), row(2, "b"), row(3, "c")]);
  const before = lineup.ids;
  expect(change({ ...row(2, "b"), cpu: 0.5 })).toBe(false);
  expect(lineup.ids).toBe(before);
  expect(looked).toEqual(["qemu/2"]);
});

test("what comes, goes and moves takes its place", () => {
  const { lineup, change, looked } = lined([row(1, "a"), row(2, "b"), row(3, "c"), row(4, "d")]);
  expect(change(row(1, "bb"), row(3, "c", "stopped"), row(9, "cc"), row(8, "zz"))).toBe(true);
  expect(lineup.ids).toEqual(["qemu/2", "qemu/1", "qemu/9", "qemu/4", "qemu/8"]);
  expect(looked).toHaveLength(4);
  change(row(3, "c"));
  expect(lineup.ids).toEqual(["qemu/2", "qemu/1", "qemu/3", "qemu/9", "qemu/4", "qemu/8"]);
});

test("many changes one after another come to what sorting all would give", () => {
  const rows = Array.from({ length: 300 }, (_, i) => row(i, `n-${(i * 7919) % 300}`));
  const { lineup, change } = lined(rows);
  const now = new Map(rows.map((one) => [one.id, one]));
  for (let turn = 0; turn < 200; turn += 1) {
    const changed = [0, 1, 2].map((i) => row((turn * 37 + i * 101) % 300, `n-${(turn * 31 + i) % 400}`, (turn + i) % 4 ? "running" : "stopped"));
    changed.forEach((one) => now.set(one.id, one));
    change(...changed);
  }
  const all = lined([...now.values()]).lineup.ids;
  expect(lineup.ids).toEqual(all);
});
