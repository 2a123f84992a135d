import { expect, test, vi } from "vitest";

vi.stubGlobal("location", { origin: "https://h:8006", hash: "" });
const { backOf, sharedKeys, wishOf } = await import("./shared");

test("what belongs to one guest alone is not offered for many", () => {
  const keys = sharedKeys().flatMap(([, names]) => names);
  expect(keys).toEqual(expect.arrayContaining(["memory", "cores", "cpu", "onboot", "protection", "ostype", "agent"]));
  for (const own of ["name", "description", "tags", "boot", "scsi", "net", "smbios1", "vmgenid"]) expect(keys).not.toContain(own);
});

test("an empty value takes the key away", () => {
  expect(wishOf({})).toBeNull();
  expect(wishOf({ memory: "1024", cores: "" })).toEqual({ set: { memory: "1024" }, delete: ["cores"] });
});

test("the way back is what was there before, unless that was a secret or nothing changed", () => {
  expect(backOf([{ key: "memory", old: "512", new: "1024", when: "now" }, { key: "cores", new: "2", when: "reboot" }])).toEqual({
    set: { memory: "512" }, delete: ["cores"],
  });
  expect(backOf([])).toBeNull();
  expect(backOf([{ key: "cipassword", old: "**********", new: "**********", when: "now" }])).toBeNull();
});
