/** Actions as text for other tools. A tool that has no word for an action gets none: nothing here only looks right. */

import type { Params } from "../api/client";
import type { Resource } from "../store/inventory";
import type { Action } from "./registry";

export const TOOLS = ["cli", "curl", "terraform", "ansible"] as const;
export type Tool = (typeof TOOLS)[number];

/** The text for all of the rows, or null where the tool has no form for the action. */
export function copyOf(tool: Tool, action: Action, rows: readonly Resource[]): string | null {
  const texts = rows.map((row) => oneOf(tool, action, row));
  if (texts.some((text) => text === null)) return null;
  return texts.join(tool === "terraform" ? "\n\n" : "\n");
}

function oneOf(tool: Tool, action: Action, row: Resource): string | null {
  if (tool === "cli") return action.cli(row);
  if (tool === "curl") return asCurl(action, row);
  if (tool === "terraform") return action.terraform ? asTerraform(action.terraform, row) : null;
  return action.ansible ? asAnsible(action, row) : null;
}

function asCurl(action: Action, row: Resource): string {
  const params = { ...action.params, ...action.example };
  const data = Object.entries(params).map(([key, value]) => ` --data-urlencode ${quoted(`${key}=${String(value)}`)}`);
  const url = `${location.origin}/api2/json${action.path(row)}`;
  return `curl -H "Authorization: PVEAPIToken=$TOKEN" -X ${action.method}${data.join("")} ${quoted(url)}`;
}

/** The resource of the provider bpg/proxmox, or the block that takes it away. */
function asTerraform(form: NonNullable<Action["terraform"]>, row: Resource): string {
  const label = (row.name ?? `vm_${row.vmid}`).replaceAll(/[^\w-]/g, "_").replace(/^(?=\d)/, "_");
  const address = `proxmox_virtual_environment_vm.${label}`;
  if (form === "removed") return `removed {\n  from = ${address}\n  lifecycle {\n    destroy = true\n  }\n}`;
  const wish = form(row);
  const head = wish.another ? [] : [`  vm_id     = ${row.vmid}`];
  const name = wish.another ? `${label}_clone` : label;
  return [`resource "proxmox_virtual_environment_vm" "${name}" {`, `  node_name = "${row.node}"`, ...head, ...wish.lines.map((line) => `  ${line}`), "}"].join("\n");
}

/** A task of the collection community.proxmox; it takes whom to ask from the play's variables. */
function asAnsible(action: Action, row: Resource): string {
  const { module, args } = (action.ansible as NonNullable<Action["ansible"]>)(row);
  const whom = { api_host: "{{ api_host }}", api_user: "{{ api_user }}", api_token_id: "{{ api_token_id }}", api_token_secret: "{{ api_token_secret }}" };
  const where = module === "proxmox_kvm" ? { node: row.node ?? "" } : {};
  const lines = Object.entries({ ...whom, ...where, vmid: row.vmid ?? 0, ...args }).map(([key, value]) => `    ${key}: ${yaml(value)}`);
  return [`- name: ${yaml(`${action.id} ${row.name ?? row.vmid}`)}`, `  community.proxmox.${module}:`, ...lines].join("\n");
}

function yaml(value: Params[string]): string {
  return typeof value === "string" && !/^[A-Za-z][\w-]*$/.test(value) ? JSON.stringify(value) : String(value);
}

/** As a shell takes it whole. */
export function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
