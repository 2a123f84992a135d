/** What a fix of an error comes to in the page: a call, a view, a form, a command to copy, or words alone. Pure. */

import type { Fix, Method, Params } from "../api/client";
import { href } from "../lib/router";
import { apiPath, type Resource } from "../store/inventory";
import { type Action, ACTIONS } from "./registry";

export type Remedy =
  | { kind: "call"; method: Method; path: string; params: Params; /** The action that it is, where it is one. */ action?: Action }
  | { kind: "view"; href: string }
  | { kind: "clone" }
  | { kind: "command"; text: string }
  | { kind: "words" };

const CALL = /^(GET|POST|PUT|DELETE) (\S+)$/;
/** Where things are looked at, by what a fix would read or change with words that it does not give. */
const VIEWS: [RegExp, (found: RegExpMatchArray, at?: Resource) => string | undefined][] = [
  [/^\/nodes\/[^/]+\/tasks\/([^/]+)\/(log|status)$/, ([, upid]) => href("tasks", decodeURIComponent(upid ?? ""))],
  [/^\/nodes\/[^/]+\/qemu\/(\d+)\/(config|resize)$/, ([, vmid]) => href("qemu", vmid ?? "", "hardware")],
  [/^\/nodes\/[^/]+\/qemu\/(\d+)\/(termproxy|vncproxy)$/, ([, vmid]) => href("qemu", vmid ?? "", "console")],
  [/^\/nodes\/[^/]+\/qemu\/(\d+)\//, ([, vmid]) => href("qemu", vmid ?? "")],
  [/^\/storage\/([^/]+)$/, ([, storage]) => href("storage", storage ?? "")],
  [/^\/access\/(users|groups|roles)/, ([, what]) => href("access", what ?? "")],
  [/^\/pools/, () => href("pools")],
  [/^content$/, (_, at) => (at?.storage ? href("storage", at.storage) : undefined)],
];

/** `at` is what the error is about; `...` in a path stands for it. */
export function remedyOf(fix: Fix, at?: Resource): Remedy {
  const action = fix.action?.trim() ?? "";
  if (!action) return { kind: "words" };
  const orphans = /^tarmac storage orphans (\S+)$/.exec(action);
  if (orphans) return { kind: "view", href: href("storage", orphans[1] ?? "", "orphans") };
  const [, method, written = ""] = CALL.exec(action) ?? [];
  if (!method) return { kind: "command", text: action };
  const path = whole(written, at);
  if (path === undefined) return { kind: "words" };
  const params = { ...fix.parameters };
  if (Object.values(params).some((value) => /[A-Z]{2,}/.test(value))) return { kind: "words" }; // one to be filled in
  if (method === "POST" && path.endsWith("/clone")) return at?.vmid === undefined ? { kind: "words" } : { kind: "clone" };
  const looks = method === "GET" || path.endsWith("proxy");
  if (looks || ((method === "PUT" || path.startsWith("/access")) && !Object.keys(params).length && !path.endsWith("/unlock-tfa"))) {
    const view = viewOf(path, at);
    return view ? { kind: "view", href: view } : { kind: "words" };
  }
  const known = at && ACTIONS.find((one) => !one.form && one.method === method && one.fits(at) && one.path(at) === path);
  return { kind: "call", method: method as Method, path, params, ...(known ? { action: known } : {}) };
}

/** The path with the object's own in place of `...`; undefined where it is not known. */
function whole(written: string, at?: Resource): string | undefined {
  if (!written.startsWith("...")) return written;
  if (!at) return undefined;
  const rest = written.slice(3);
  return rest.startsWith("/qemu/") ? `/nodes/${at.node}${rest}` : `${apiPath(at)}${rest}`;
}

function viewOf(path: string, at?: Resource): string | undefined {
  for (const [pattern, to] of VIEWS) {
    const found = pattern.exec(path);
    if (found) return to(found, at);
  }
  return undefined;
}
