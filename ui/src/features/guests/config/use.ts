/** A guest's configuration as it is and as it will be, asked for again when a task of the guest has come or ended. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";

import { call, type Params, type Problem } from "../../../api/client";
import { useTasksOf } from "../../../store/tasks";
import { type Pending, pendingOf } from "../api";
import { find } from "./option";

export type When = "now" | "reboot" | "stop";

/** One key of a change, as the server's dry run tells it. `reason`: why not at once. */
export interface Told {
  key: string;
  old?: string;
  new?: string;
  when: When;
  reason?: string;
}

/** `when`: the latest of its changes'. `refusal`: the running guest refuses it; the plan is that of the stopped one. */
export interface Plan {
  when: When;
  steps: { title: string }[];
  effects: string[];
  changes: Told[];
  refusal?: Problem;
}

/** What is to be set and what removed. */
export interface Wish {
  set: Record<string, string>;
  delete?: readonly string[];
}

export interface Config {
  rows: ReadonlyMap<string, Pending>;
  digest: string;
  again: () => void;
}

export function useConfig(path: string, vmid: number): Config | undefined {
  const queries = useQueryClient();
  const version = useTasksOf(String(vmid));
  const found = useQuery({ queryKey: ["pending", path, version], queryFn: () => pendingOf(path), placeholderData: (old) => old });
  return useMemo(() => {
    if (!found.data) return undefined;
    const digest = String(found.data.find((row) => row.key === "digest")?.value ?? "");
    const rows = new Map(found.data.filter((row) => row.key !== "digest").map((row) => [row.key, row]));
    return { rows, digest, again: () => void queries.invalidateQueries({ queryKey: ["pending", path] }) };
  }, [found.data, queries, path]);
}

export function paramsOf(wish: Wish): Params {
  return { ...wish.set, ...(wish.delete?.length ? { delete: wish.delete.join(",") } : {}) };
}

/** What a change would do. Nothing is touched. */
export function planOf(path: string, wish: Wish): Promise<Plan> {
  return call<Plan>("PUT", `${path}/config`, { ...paramsOf(wish), dryrun: 1 });
}

/** Raises ApiError; a `digest` that is old is refused by the server. */
export function save(path: string, wish: Wish, digest?: string): Promise<null> {
  return call<null>("PUT", `${path}/config`, { ...paramsOf(wish), ...(digest ? { digest } : {}) });
}

export function revert(path: string, key: string): Promise<null> {
  return call<null>("PUT", `${path}/config`, { revert: key });
}

/** The change that takes another one back; null where it would take a secret that nobody is told. */
export function inverseOf(wish: Wish, rows: ReadonlyMap<string, Pending>): Wish | null {
  const set: Record<string, string> = {};
  const gone: string[] = [];
  for (const key of [...Object.keys(wish.set), ...(wish.delete ?? [])]) {
    const row = rows.get(key);
    const old = row?.pending ?? row?.value;
    if (old !== undefined && find(key)?.option.secret) return null;
    if (old !== undefined && !row?.delete) set[key] = String(old);
    else if (key in wish.set) gone.push(key);
  }
  return { set, delete: gone };
}
