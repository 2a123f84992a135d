import { expect, test, vi } from "vitest";

import type { Resource } from "../store/inventory";

vi.stubGlobal("location", { origin: "https://h:8006", hash: "" });
const { copyOf, quoted, TOOLS } = await import("./copy");
const { actionById, ACTIONS, fitting, labelOf, lossOf } = await import("./registry");

const row = (more: object): Resource => ({ id: "qemu/100", type: "qemu", vmid: 100, name: "web", node: "n1", status: "stopped", ...more });

test("every action has a name of its own, an inverse that exists, and says what it costs if it asks", () => {
  expect(new Set(ACTIONS.map((action) => action.id)).size).toBe(ACTIONS.length);
  const keys = ACTIONS.flatMap((action) => action.key ?? []);
  expect(new Set([...keys, "c", "/", "?"]).size).toBe(keys.length + 3);
  for (const action of ACTIONS) {
    expect(labelOf(action), action.id).not.toBe(action.id);
    if (action.inverse) expect(actionById(action.inverse), action.id).toBeDefined();
    expect(Boolean(action.danger), action.id).toBe(lossOf(action) !== "");
  }
});

test("every action has a form for the command line and for curl; for the others it has one or says that there is none", () => {
  const none: string[] = [];
  for (const action of ACTIONS) {
    for (const tool of TOOLS) {
      const text = copyOf(tool, action, [row({})]);
      if (text === null) none.push(`${tool} ${action.id}`);
      else expect(text, `${tool} ${action.id}`).toContain(tool === "terraform" && action.id === "delete" ? "web" : "100");
    }
  }
  expect(none.filter((one) => /^(cli|curl)/.test(one))).toEqual([]);
  expect(none.sort()).toEqual([
    "ansible live-template", "ansible reset", "ansible resume", "terraform live-template", "terraform reboot",
    "terraform reset", "terraform resume", "terraform snapshot", "terraform stop", "terraform suspend",
  ]);
});

test("copied texts", () => {
  const stop = actionById("stop");
  const start = actionById("start");
  if (!stop || !start) throw new Error("gone");
  expect(copyOf("curl", stop, [row({})])).toBe(
    'curl -H "Authorization: PVEAPIToken=$TOKEN" -X POST --data-urlencode overrule-shutdown=1 https://h:8006/api2/json/nodes/n1/qemu/100/status/stop',
  );
  expect(copyOf("cli", start, [row({}), row({ vmid: 101 })])).toBe("tarmac vm start 100\ntarmac vm start 101");
  expect(copyOf("terraform", start, [row({ name: "9 lives" })])).toBe(
    'resource "proxmox_virtual_environment_vm" "_9_lives" {\n  node_name = "n1"\n  vm_id     = 100\n  started   = true\n}',
  );
  expect(copyOf("ansible", stop, [row({})])?.split("\n").slice(-3)).toEqual(["    vmid: 100", "    state: stopped", "    force: true"]);
  expect(quoted("a'b c")).toBe(`'a'\\''b c'`);
});

test("only what fits all, and forms for one are for one", () => {
  const both = [row({}), row({ id: "qemu/101", vmid: 101 })];
  expect(fitting(both).map((action) => action.id)).toEqual(["start", "snapshot", "tag", "edit", "template", "delete"]);
  expect(fitting([row({}), row({ status: "running" })]).map((action) => action.id)).toEqual(["snapshot", "tag", "edit", "template"]);
});
