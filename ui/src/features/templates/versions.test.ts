import { expect, test } from "vitest";

import { versions } from "./versions";

const clone = (vmid: number, more: object) => ({ vmid, name: `c${vmid}`, linked: 1, ...more });

test("clones stand under the state that they came from, the present one first", () => {
  const found = versions([
    clone(1, { version: "old", current: 0, cloned: 50 }), clone(2, { version: "now", current: 1, cloned: 20 }),
    clone(3, { version: "older", current: 0, cloned: 10 }), clone(4, { version: "now", current: 1, cloned: 15 }), clone(5, {}),
  ]);
  expect(found.map((one) => [one.id, one.since, one.clones.map((made) => made.vmid)])).toEqual([
    ["now", 15, [2, 4]], ["old", 50, [1]], ["older", 10, [3]], ["", undefined, [5]],
  ]);
});
