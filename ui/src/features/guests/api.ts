/** One guest's details, asked for when somebody looks at it. */

import { call, type Plan } from "../../api/client";
import type { AgentInterfaces, GuestStatus, PendingRow } from "../../api/types";

export type Config = Record<string, string | number> & { digest?: string };

export type Status = GuestStatus;
export type Pending = PendingRow;

export const configOf = (path: string): Promise<Config> => call("GET", `${path}/config`);
export const statusOf = (path: string): Promise<Status> => call("GET", `${path}/status/current`);
export const pendingOf = (path: string): Promise<Pending[]> => call("GET", `${path}/pending`);

export async function addressesOf(path: string): Promise<string[]> {
  const reply = await call<AgentInterfaces>("GET", `${path}/agent/network-get-interfaces`);
  return reply.result
    .filter((one) => one.name !== "lo")
    .flatMap((one) => (one["ip-addresses"] ?? []).map((address) => address["ip-address"]))
    .filter((address) => !address.startsWith("fe80"));
}

export const change = (path: string, words: Record<string, string>): Promise<null> => call("PUT", `${path}/config`, words);

/** What a change would do, without doing it. */
export const plan = (path: string, words: Record<string, string>): Promise<Plan> =>
  call("POST", `${path}/config`, { ...words, dryrun: 1 });
