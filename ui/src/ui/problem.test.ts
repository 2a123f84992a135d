import { expect, test } from "vitest";

import { callOf } from "./problem";

const base = "/nodes/n1/qemu/100";

test.each([
  [{ text: "", action: "PUT .../config", parameters: { memory: "64" } }, "PUT /nodes/n1/qemu/100/config"],
  [{ text: "", action: "POST .../status/start" }, "POST /nodes/n1/qemu/100/status/start"],
  [{ text: "", action: "PUT /storage/local", parameters: { disable: "1" } }, "PUT /storage/local"],
  [{ text: "", action: "PUT .../config" }, undefined], // what to set is left to people
  [{ text: "", action: "POST .../qemu/100/clone" }, undefined],
  [{ text: "", action: "PUT /storage/local", parameters: { snapname: "NAME" } }, undefined],
  [{ text: "", action: "GET .../config" }, undefined],
  [{ text: "", action: "tarmac login-link" }, undefined],
])("%o", (fix, wanted) => {
  const known = callOf(fix, base);
  expect(known ? `${known.method} ${known.path}` : undefined).toBe(wanted);
});
