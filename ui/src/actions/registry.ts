/**
 * Every verb of the page, once: its word, key, states, privilege, API call, danger, inverse and its forms for other
 * tools. Menus, toolbars, the palette, bulk work, keyboard help and "copy as" are made from this table.
 */

import type { Method, Params } from "../api/client";
import { word } from "../i18n";
import { apiPath, type Resource } from "../store/inventory";
import type { FormName } from "./forms";

export interface Action {
  /** Its texts are `action.ID` and, for what will be lost, `action.ID_loss` (`-` becomes `_`). */
  id: string;
  /** A key that starts it on what is selected. */
  key?: string;
  /** On what it can be done. */
  fits: (row: Resource) => boolean;
  privilege: string;
  method: Method;
  path: (row: Resource) => string;
  params?: Params;
  /** What a form would ask for, as an example for other tools. */
  example?: Params;
  /** `ask`: it wants a yes; `name`: the guest's number must be typed. */
  danger?: "ask" | "name";
  /** The form that asks for the rest. */
  form?: FormName;
  /** The form is for one thing at a time. */
  single?: boolean;
  /** The id of the action that takes it back. */
  inverse?: string;
  cli: (row: Resource) => string;
  /** What the provider's resource says afterwards (`another`: a new resource); left out where it cannot say it. */
  terraform?: "removed" | ((row: Resource) => { lines: string[]; another?: boolean });
  ansible?: (row: Resource) => { module: "proxmox_kvm" | "proxmox_snap"; args: Params };
}

const guest = (row: Resource): boolean => row.vmid !== undefined;
const running = (row: Resource): boolean => guest(row) && row.status === "running";
const stopped = (row: Resource): boolean => guest(row) && row.status === "stopped" && !row.template;
const command = (verb: string) => (row: Resource) => `tarmac vm ${verb} ${row.vmid}`;
const power = (verb: string) => (row: Resource) => `${apiPath(row)}/status/${verb}`;
const says = (...lines: string[]) => () => ({ lines });
const kvm = (args: Params) => () => ({ module: "proxmox_kvm" as const, args });

export const ACTIONS: readonly Action[] = [
  {
    id: "start", key: "s", fits: stopped, privilege: "VM.PowerMgmt", method: "POST", path: power("start"), inverse: "shutdown",
    cli: command("start"), terraform: says("started   = true"), ansible: kvm({ state: "started" }),
  },
  {
    id: "resume", fits: (row) => running(row) && row["qmpstatus"] === "paused", privilege: "VM.PowerMgmt", method: "POST",
    path: power("resume"), inverse: "suspend", cli: command("resume"),
  },
  {
    id: "shutdown", key: "Shift+S", fits: running, privilege: "VM.PowerMgmt", method: "POST", path: power("shutdown"),
    inverse: "start", cli: command("shutdown"), terraform: says("started   = false"), ansible: kvm({ state: "stopped" }),
  },
  {
    id: "reboot", fits: running, privilege: "VM.PowerMgmt", method: "POST", path: power("reboot"), danger: "ask",
    cli: command("reboot"), ansible: kvm({ state: "restarted" }),
  },
  {
    id: "suspend", fits: (row) => running(row) && row["qmpstatus"] !== "paused", privilege: "VM.PowerMgmt", method: "POST",
    path: power("suspend"), inverse: "resume", cli: command("suspend"), ansible: kvm({ state: "paused" }),
  },
  {
    id: "stop", fits: running, privilege: "VM.PowerMgmt", method: "POST", path: power("stop"),
    params: { "overrule-shutdown": 1 }, danger: "ask", inverse: "start", cli: command("stop"),
    ansible: kvm({ state: "stopped", force: true }),
  },
  {
    id: "reset", fits: running, privilege: "VM.PowerMgmt", method: "POST", path: power("reset"), danger: "ask",
    cli: command("reset"),
  },
  {
    id: "snapshot", key: "p", fits: (row) => guest(row) && !row.template, privilege: "VM.Snapshot", method: "POST",
    path: (row) => `${apiPath(row)}/snapshot`, form: "snapshot", example: { snapname: "NAME" },
    cli: (row) => `tarmac vm snapshot ${row.vmid} NAME`,
    ansible: () => ({ module: "proxmox_snap", args: { snapname: "NAME", state: "present" } }),
  },
  {
    id: "clone", key: "n", fits: guest, privilege: "VM.Clone", method: "POST", path: (row) => `${apiPath(row)}/clone`,
    form: "clone", single: true, example: { name: "NAME" }, cli: (row) => `tarmac vm clone ${row.vmid} --name NAME`,
    terraform: (row) => ({ another: true, lines: ['name      = "NAME"', "clone {", `  vm_id = ${row.vmid}`, `  full  = ${row.template ? "false" : "true"}`, "}"] }),
    ansible: (row) => ({ module: "proxmox_kvm", args: { clone: row.name ?? "any", name: "NAME", full: !row.template, format: "unspecified" } }),
  },
  {
    id: "tag", key: "t", fits: guest, privilege: "VM.Config.Options", method: "PUT", path: (row) => `${apiPath(row)}/config`,
    form: "tag", example: { tags: "TAGS" }, cli: (row) => `tarmac vm set ${row.vmid} --tags TAGS`,
    terraform: says('tags      = ["TAGS"]'), ansible: kvm({ tags: ["TAGS"], update: true }),
  },
  {
    id: "edit", key: "e", fits: guest, privilege: "VM.Config.*", method: "PUT", path: (row) => `${apiPath(row)}/config`,
    form: "edit", example: { memory: "MIB" }, cli: (row) => `tarmac vm set ${row.vmid} --memory MIB`,
    terraform: says("memory {", "  dedicated = MIB", "}"), ansible: kvm({ memory: "MIB", update: true }),
  },
  {
    id: "template", fits: (row) => guest(row) && !row.template, privilege: "VM.Allocate", method: "POST", path: (row) => `${apiPath(row)}/template`,
    danger: "ask", form: "template", cli: command("template"), terraform: says("template  = true"), ansible: kvm({ state: "template" }),
  },
  {
    id: "live-template", fits: running, privilege: "VM.Clone.Live", method: "POST", path: (row) => `${apiPath(row)}/template`,
    params: { live: 1 }, danger: "ask", cli: (row) => `tarmac vm template ${row.vmid} --live`,
  },
  {
    id: "delete", fits: (row) => guest(row) && row.status === "stopped", privilege: "VM.Allocate", method: "DELETE",
    path: apiPath, danger: "name", cli: command("delete"), terraform: "removed", ansible: kvm({ state: "absent" }),
  },
];

/** The actions that fit all of the rows. */
export function fitting(rows: readonly Resource[]): Action[] {
  return rows.length ? ACTIONS.filter((action) => (!action.single || rows.length === 1) && rows.every(action.fits)) : [];
}

/** What it is called in the language of the page. */
export function labelOf(action: Action): string {
  return word("action", action.id.replaceAll("-", "_"), action.id);
}

/** What will be lost, in a sentence; empty where nothing is. */
export function lossOf(action: Action): string {
  return word("action", `${action.id.replaceAll("-", "_")}_loss`, "");
}

export function actionById(id: string): Action | undefined {
  return ACTIONS.find((action) => action.id === id);
}
