import { expect, test, vi } from "vitest";

vi.stubGlobal("document", { documentElement: { lang: "" } });
const { remedyOf } = await import("./fix");

const guest = { id: "qemu/100", type: "qemu", node: "n1", vmid: 100, name: "web", status: "stopped" };
const storage = { id: "storage/n1/local", type: "storage", node: "n1", storage: "local" };

test("a call with all its words is done on the object that the error is about", () => {
  expect(remedyOf({ text: "", action: "PUT .../config", parameters: { memory: "64" } }, guest)).toEqual({
    kind: "call", method: "PUT", path: "/nodes/n1/qemu/100/config", params: { memory: "64" },
  });
  expect(remedyOf({ text: "", action: "PUT /storage/local", parameters: { disable: "1" } })).toMatchObject({ kind: "call", path: "/storage/local" });
});

test("what is an action of the page is known as that, with its question", () => {
  const found = remedyOf({ text: "", action: "POST .../status/start" }, guest);
  expect(found).toMatchObject({ kind: "call", action: { id: "start" } });
  const reboot = remedyOf({ text: "", action: "POST .../status/reboot" }, { ...guest, status: "running" });
  expect(reboot).toMatchObject({ kind: "call", action: { id: "reboot", danger: "ask" } });
});

test("what wants more words, or only a look, opens the view", () => {
  expect(remedyOf({ text: "", action: "PUT .../config" }, guest)).toEqual({ kind: "view", href: "#/qemu/100/hardware" });
  expect(remedyOf({ text: "", action: "POST .../termproxy" }, guest)).toEqual({ kind: "view", href: "#/qemu/100/console" });
  expect(remedyOf({ text: "", action: "GET /nodes/n1/tasks/UPID:x:/log" })).toEqual({ kind: "view", href: "#/tasks/UPID%3Ax%3A" });
  expect(remedyOf({ text: "", action: "tarmac storage orphans local" })).toEqual({ kind: "view", href: "#/storage/local/orphans" });
  expect(remedyOf({ text: "", action: "GET content" }, storage)).toEqual({ kind: "view", href: "#/storage/local" });
  expect(remedyOf({ text: "", action: "POST .../qemu/100/clone" }, guest)).toEqual({ kind: "clone" });
});

test("the rest is a command to copy, or words", () => {
  expect(remedyOf({ text: "", action: "apt install ovmf" })).toEqual({ kind: "command", text: "apt install ovmf" });
  expect(remedyOf({ text: "make room" })).toEqual({ kind: "words" });
  expect(remedyOf({ text: "", action: "PUT .../config", parameters: { a: "1" } })).toEqual({ kind: "words" });
});
