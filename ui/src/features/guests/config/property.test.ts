import { expect, test } from "vitest";

import { word } from "../../../i18n";
import { type Field, find, freeKey, GROUPS, HARDWARE, optionsOf } from "./option";
import { OPTIONS } from "./options";
import { parse, print } from "./property";

const fieldsOf = (key: string): readonly Field[] => find(key)?.option.fields ?? [];

test.each([
  ["net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0", { model: "virtio", macaddr: "BC:24:11:00:00:01", bridge: "vmbr0" }],
  ["scsi0", "local:100/vm-100-disk-0.qcow2,iothread=1,size=32G", { file: "local:100/vm-100-disk-0.qcow2", iothread: "1", size: "32G" }],
  ["ide2", "none,media=cdrom", { file: "none", media: "cdrom" }],
  ["scsi1", "volume=local:1,what=ever", { file: "local:1", what: "ever" }],
  ["memory", "2048", { current: "2048" }],
])("%s: %s", (key, text, parts) => {
  const fields = fieldsOf(key);
  expect(parse(text, fields)).toEqual(parts);
  expect(parse(print(parse(text, fields), fields), fields)).toEqual(parts);
});

test("the bare field stands first, without its name", () => {
  expect(print({ bridge: "vmbr0", model: "e1000" }, fieldsOf("net0"))).toBe("e1000,bridge=vmbr0");
  expect(print({ cputype: "", flags: "+aes" }, fieldsOf("cpu"))).toBe("flags=+aes");
});

test("keys are found with their index, and the first free one", () => {
  expect(find("net31")?.index).toBe(31);
  expect(find("net32")).toBeUndefined();
  expect(find("lock")).toBeUndefined();
  expect(freeKey("scsi", new Set(["scsi0", "scsi2"]))).toBe("scsi1");
});

test("every option that is declared has a name in words and a place", () => {
  const groups = [...HARDWARE, "general", "cloudinit", "more"] as const;
  const placed = groups.flatMap((group) => optionsOf(group).map((option) => option.name));
  expect(new Set(placed).size).toBe(placed.length);
  for (const names of Object.values(GROUPS)) for (const name of names) expect(OPTIONS.some((option) => option.name === name), name).toBe(true);
  for (const option of OPTIONS) expect(word("option", option.name.replaceAll("-", "_"), ""), option.name).not.toBe("");
});
