/**
 * Every verb of the page, once: its word, key, states, privilege, API call, danger, inverse and command line. Menus,
 * toolbars, the palette, bulk work, keyboard help and "copy as" are made from this table.
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
  /** `ask`: it wants a yes; `name`: the guest's number must be typed. */
  danger?: "ask" | "name";
  /** The form that asks for the rest, on one thing at a time. */
  form?: FormName;
  /** The id of the action that takes it back. */
  inverse?: string;
  cli: (row: Resource) => string;
}

const guest = (row: Resource): boolean => row.vmid !== undefined;
const running = (row: Resource): boolean => guest(row) && row.status === "running";
const stopped = (row: Resource): boolean => guest(row) && row.status === "stopped" && !row.template;
const command = (verb: string) => (row: Resource) => `tarmac vm ${verb} ${row.vmid}`;
const power = (verb: string) => (row: Resource) => `${apiPath(row)}/status/${verb}`;

export const ACTIONS: readonly Action[] = [
  {
    id: "start", key: "s", fits: stopped, privilege: "VM.PowerMgmt", method: "POST",
    path: power("start"), inverse: "shutdown", cli: command("start"),
  },
  {
    id: "resume", fits: (row) => running(row) && row["qmpstatus"] === "paused",
    privilege: "VM.PowerMgmt", method: "POST", path: power("resume"), inverse: "suspend", cli: command("resume"),
  },
  {
    id: "shutdown", key: "Shift+S", fits: running, privilege: "VM.PowerMgmt", method: "POST",
    path: power("shutdown"), inverse: "start", cli: command("shutdown"),
  },
  {
    id: "reboot", fits: running, privilege: "VM.PowerMgmt", method: "POST", path: power("reboot"),
    danger: "ask", cli: command("reboot"),
  },
  {
    id: "suspend", fits: (row) => running(row) && row["qmpstatus"] !== "paused",
    privilege: "VM.PowerMgmt", method: "POST", path: power("suspend"), inverse: "resume", cli: command("suspend"),
  },
  {
    id: "stop", fits: running, privilege: "VM.PowerMgmt", method: "POST", path: power("stop"),
    params: { "overrule-shutdown": 1 }, danger: "ask", inverse: "start", cli: command("stop"),
  },
  {
    id: "reset", fits: running, privilege: "VM.PowerMgmt", method: "POST", path: power("reset"),
    danger: "ask", cli: command("reset"),
  },
  {
    id: "clone", key: "n", fits: guest, privilege: "VM.Clone", method: "POST",
    path: (row) => `${apiPath(row)}/clone`, form: "clone", cli: (row) => `tarmac vm clone ${row.vmid} --name NAME`,
  },
  {
    id: "template", fits: stopped, privilege: "VM.Allocate", method: "POST",
    path: (row) => `${apiPath(row)}/template`, danger: "ask", cli: command("template"),
  },
  {
    id: "live-template", fits: running, privilege: "VM.Clone.Live", method: "POST",
    path: (row) => `${apiPath(row)}/template`, params: { live: 1 }, danger: "ask",
    cli: (row) => `tarmac vm template ${row.vmid} --live`,
  },
  {
    id: "delete", fits: (row) => guest(row) && row.status === "stopped", privilege: "VM.Allocate",
    method: "DELETE", path: apiPath, danger: "name", cli: command("delete"),
  },
];

/** The actions that fit all of the rows. */
export function fitting(rows: readonly Resource[]): Action[] {
  return rows.length ? ACTIONS.filter((action) => (!action.form || rows.length === 1) && rows.every(action.fits)) : [];
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

/** The call as a line for a shell. */
export function asCurl(action: Action, row: Resource): string {
  const data = Object.entries(action.params ?? {}).map(([key, value]) => ` -d ${key}=${String(value)}`).join("");
  const url = `${location.origin}/api2/json${action.path(row)}`;
  return `curl -H "Authorization: PVEAPIToken=$TOKEN" -X ${action.method}${data} ${url}`;
}
