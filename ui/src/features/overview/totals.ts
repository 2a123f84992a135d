/** The whole in numbers, from the inventory. Pure. */

import type { Resource } from "../../store/inventory";

export interface Totals {
  nodes: number;
  guests: number;
  running: number;
  templates: number;
  storages: number;
  cpu: { used: number; all: number };
  memory: { used: number; all: number; promised: number };
  disk: { used: number; all: number };
}

export function totals(rows: readonly Resource[]): Totals {
  const found: Totals = {
    nodes: 0, guests: 0, running: 0, templates: 0, storages: 0,
    cpu: { used: 0, all: 0 }, memory: { used: 0, all: 0, promised: 0 }, disk: { used: 0, all: 0 },
  };
  const shared = new Set<string>();
  for (const row of rows) {
    if (row.type === "node") {
      found.nodes += 1;
      found.cpu.all += row.maxcpu ?? 0;
      found.cpu.used += (row.cpu ?? 0) * (row.maxcpu ?? 0);
      found.memory.all += row.maxmem ?? 0;
      found.memory.used += row.mem ?? 0;
    } else if (row.type === "storage") {
      // A shared storage is seen from every node and counts once.
      if (row["shared"] && shared.has(row.storage ?? "")) continue;
      shared.add(row.storage ?? "");
      found.storages += 1;
      found.disk.all += row.maxdisk ?? 0;
      found.disk.used += row.disk ?? 0;
    } else if (row.vmid !== undefined && row.template) {
      found.templates += 1;
    } else if (row.vmid !== undefined) {
      found.guests += 1;
      if (row.status !== "running") continue;
      found.running += 1;
      found.memory.promised += row.maxmem ?? 0;
    }
  }
  return found;
}
