/** The options of a guest as the server declares them (`options.ts` is generated): found by their keys, put in groups. */

import { word } from "../../../i18n";
import { OPTIONS } from "./options";

/** A value, or a part of a property string. */
export interface Field {
  name: string;
  kind: string;
  help: string;
  choices?: readonly string[];
  min?: number;
  max?: number;
  unit?: string;
  format?: string;
  pattern?: string;
  maxLength?: number;
  /** What holds when nothing is set: a value, or words where it is computed. */
  default?: string | number | boolean;
  required?: boolean;
  secret?: boolean;
  /** In a property string: it may stand without its name. */
  bare?: boolean;
  aliases?: readonly string[];
  /** Its words may be keys that give another field's value: `virtio=MAC`. */
  keyAlias?: string;
}

export interface Option extends Field {
  /** For indexed keys (`net0`): how many there are. */
  count?: number;
  hotplug?: string;
  privilege?: string;
  fields?: readonly Field[];
}

export interface Known {
  option: Option;
  index: number | null;
}

export const DISKS = ["scsi", "virtio", "sata", "ide"] as const;
/** Which options stand in which group of which tab. What is in none stands under `more` of the options. */
export const GROUPS = {
  processor: ["sockets", "cores", "vcpus", "cpu", "cpulimit", "cpuunits"],
  memory: ["memory", "balloon", "shares", "allow-ksm", "instant"],
  disks: [...DISKS, "efidisk0", "unused", "scsihw", "boot"],
  network: ["net"],
  devices: ["vga", "serial", "machine", "bios", "agent", "rng0", "watchdog"],
  general: ["name", "description", "tags", "ostype", "onboot", "startup", "protection", "hotplug", "freeze", "reboot"],
  cloudinit: ["ciuser", "cipassword", "sshkeys", "ciupgrade", "cicustom", "nameserver", "searchdomain", "citype", "ipconfig"],
} as const satisfies Record<string, readonly string[]>;
export const HARDWARE = ["processor", "memory", "disks", "network", "devices"] as const;
export type Group = keyof typeof GROUPS | "more";

const byName = new Map(OPTIONS.map((option) => [option.name, option]));

/** `net3` is (net, 3), `cores` is (cores, null); undefined for what nobody may set. */
export function find(key: string): Known | undefined {
  const plain = byName.get(key);
  if (plain && plain.count === undefined) return { option: plain, index: null };
  const [, name = "", digits = ""] = /^([a-z]+)(\d+)$/.exec(key) ?? [];
  const option = byName.get(name);
  return option?.count !== undefined && Number(digits) < option.count ? { option, index: Number(digits) } : undefined;
}

export function optionsOf(group: Group): readonly Option[] {
  if (group !== "more") return (GROUPS[group] as readonly string[]).flatMap((name) => byName.get(name) ?? []);
  const placed = new Set<string>([...Object.values(GROUPS).flat(), "template", "bootdisk"]);
  return OPTIONS.filter((option) => !placed.has(option.name));
}

/** A key in words: `Network card (net0)`, `Memory`. */
export function titleOf(key: string): string {
  const known = find(key);
  if (!known) return key;
  const title = word("option", known.option.name.replaceAll("-", "_"), key);
  return known.index === null ? title : `${title} (${key})`;
}

/** The first free key of an indexed option. */
export function freeKey(name: string, taken: ReadonlySet<string>): string | undefined {
  const count = byName.get(name)?.count ?? 0;
  return Array.from({ length: count }, (_, index) => `${name}${index}`).find((key) => !taken.has(key));
}
