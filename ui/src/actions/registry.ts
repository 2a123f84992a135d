/**
 * Every verb of the page, once: its word, key, states, privilege, API call, danger, inverse and command line. Menus,
 * toolbars, the palette, bulk work, keyboard help and "copy as" are made from this table.
 */

import type { Method, Params } from "../api/client";
import { apiPath, type Resource } from "../store/inventory";
import type { FormName } from "./forms";

export interface Action {
  id: string;
  label: string;
  /** A key that starts it on what is selected. */
  key?: string;
  /** On what it can be done. */
  fits: (row: Resource) => boolean;
  privilege: string;
  method: Method;
  path: (row: Resource) => string;
  params?: Params;
  /** `ask`: it wants a yes; `name`: the guest's number must be typed. */
  danger?: "ask" | "name";
  /** What will be lost, in a sentence, for the question. */
  consequence?: string;
  /** The form that asks for the rest, on one thing at a time. */
  form?: FormName;
  /** The id of the action that takes it back. */
  inverse?: string;
  cli: (row: Resource) => string;
}

const guest = (row: Resource): boolean => row.vmid !== undefined;
const running = (row: Resource): boolean => guest(row) && row.status === "running";
const stopped = (row: Resource): boolean => guest(row) && row.status === "stopped" && !row.template;
const word = (verb: string) => (row: Resource) => `tarmac vm ${verb} ${row.vmid}`;
const power = (verb: string) => (row: Resource) => `${apiPath(row)}/status/${verb}`;

export const ACTIONS: readonly Action[] = [
  {
    id: "start", label: "Start", key: "s", fits: stopped, privilege: "VM.PowerMgmt", method: "POST",
    path: power("start"), inverse: "shutdown", cli: word("start"),
  },
  {
    id: "resume", label: "Resume", fits: (row) => running(row) && row["qmpstatus"] === "paused",
    privilege: "VM.PowerMgmt", method: "POST", path: power("resume"), inverse: "suspend", cli: word("resume"),
  },
  {
    id: "shutdown", label: "Shut down", key: "Shift+S", fits: running, privilege: "VM.PowerMgmt", method: "POST",
    path: power("shutdown"), inverse: "start", cli: word("shutdown"),
  },
  {
    id: "reboot", label: "Reboot", fits: running, privilege: "VM.PowerMgmt", method: "POST", path: power("reboot"),
    danger: "ask", consequence: "The system inside restarts.", cli: word("reboot"),
  },
  {
    id: "suspend", label: "Pause", fits: (row) => running(row) && row["qmpstatus"] !== "paused",
    privilege: "VM.PowerMgmt", method: "POST", path: power("suspend"), inverse: "resume", cli: word("suspend"),
  },
  {
    id: "stop", label: "Cut the power", fits: running, privilege: "VM.PowerMgmt", method: "POST", path: power("stop"),
    params: { "overrule-shutdown": 1 }, danger: "ask",
    consequence: "What the system inside has not written to disk is lost.", inverse: "start", cli: word("stop"),
  },
  {
    id: "reset", label: "Reset", fits: running, privilege: "VM.PowerMgmt", method: "POST", path: power("reset"),
    danger: "ask", consequence: "What the system inside has not written to disk is lost.", cli: word("reset"),
  },
  {
    id: "clone", label: "Clone", key: "n", fits: guest, privilege: "VM.Clone", method: "POST",
    path: (row) => `${apiPath(row)}/clone`, form: "clone", cli: (row) => `tarmac vm clone ${row.vmid} --name NAME`,
  },
  {
    id: "template", label: "Make it a template", fits: stopped, privilege: "VM.Allocate", method: "POST",
    path: (row) => `${apiPath(row)}/template`, danger: "ask",
    consequence: "Its disks never change again; it cannot be started, only cloned.", cli: word("template"),
  },
  {
    id: "live-template", label: "Freeze into a live template", fits: running, privilege: "VM.Clone.Live", method: "POST",
    path: (row) => `${apiPath(row)}/template`, params: { live: 1 }, danger: "ask",
    consequence: "It stops here and becomes a template, memory and all; clones go on from this moment.",
    cli: (row) => `tarmac vm template ${row.vmid} --live`,
  },
  {
    id: "delete", label: "Delete", fits: (row) => guest(row) && row.status === "stopped", privilege: "VM.Allocate",
    method: "DELETE", path: apiPath, danger: "name",
    consequence: "Its configuration and its disks are removed for good.", cli: word("delete"),
  },
];

/** The actions that fit all of the rows. */
export function fitting(rows: readonly Resource[]): Action[] {
  return rows.length ? ACTIONS.filter((action) => (!action.form || rows.length === 1) && rows.every(action.fits)) : [];
}

export function actionById(id: string): Action | undefined {
  return ACTIONS.find((action) => action.id === id);
}

/** The call as a line for a shell. */
export function asCurl(action: Action, row: Resource): string {
  const data = Object.entries(action.params ?? {}).map(([key, value]) => ` -d ${key}=${String(value)}`).join("");
  const url = `${location.origin}/api2/json${action.path(row)}`;
  return `curl -H "Authorization: PVEAPIToken=$TOKEN" -X ${action.method}${data} ${url}`;
}
