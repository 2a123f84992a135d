import { expect, test, vi } from "vitest";

vi.stubGlobal("location", { host: "h", hash: "" });
const { figures } = await import("./feed");

test("a row of figures begins with the id, as its columns do", () => {
  expect(figures(["id", "cpu", "mem"], [["qemu/1", 0.5, 1024], ["qemu/2", null, 0]])).toEqual([
    ["qemu/1", { cpu: 0.5, mem: 1024 }],
    ["qemu/2", { cpu: undefined, mem: 0 }],
  ]);
});
