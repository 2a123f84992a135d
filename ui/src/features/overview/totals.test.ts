import { expect, test } from "vitest";

import { totals } from "./totals";

test("what runs is promised its memory, and a shared storage counts once", () => {
  const found = totals([
    { id: "node/a", type: "node", node: "a", cpu: 0.5, maxcpu: 4, mem: 10, maxmem: 100 },
    { id: "node/b", type: "node", node: "b", cpu: 0.25, maxcpu: 8, mem: 20, maxmem: 100 },
    { id: "qemu/1", type: "qemu", vmid: 1, status: "running", maxmem: 30 },
    { id: "qemu/2", type: "qemu", vmid: 2, status: "stopped", maxmem: 30 },
    { id: "qemu/3", type: "qemu", vmid: 3, status: "stopped", template: 1, maxmem: 30 },
    { id: "storage/a/nas", type: "storage", storage: "nas", shared: 1, disk: 5, maxdisk: 50 },
    { id: "storage/b/nas", type: "storage", storage: "nas", shared: 1, disk: 5, maxdisk: 50 },
    { id: "storage/a/local", type: "storage", storage: "local", disk: 1, maxdisk: 10 },
    { id: "storage/b/local", type: "storage", storage: "local", disk: 1, maxdisk: 10 },
  ]);
  expect(found).toEqual({
    nodes: 2, guests: 2, running: 1, templates: 1, storages: 3,
    cpu: { used: 4, all: 12 }, memory: { used: 30, all: 200, promised: 30 }, disk: { used: 7, all: 70 },
  });
});
