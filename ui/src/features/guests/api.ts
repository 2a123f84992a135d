/** One guest's details, asked for when somebody looks at it. */

import { call } from "../../api/client";

export type Config = Record<string, string | number> & { digest?: string };

export interface Status {
  status: string;
  qmpstatus: string;
  cpu?: number;
  cpus?: number;
  mem?: number;
  maxmem?: number;
  uptime?: number;
  accelerator?: string;
  "accelerator-reason"?: string;
  "last-exit"?: string;
  note?: string;
  possible: string[];
  agent?: number;
  pid?: number;
  "running-qemu"?: string;
  task?: string;
  /** A live template: clones go on from its memory. */
  live?: number;
}

export interface Pending {
  key: string;
  value?: string | number;
  pending?: string | number;
  delete?: number;
}

export interface Interface {
  name: string;
  "hardware-address"?: string;
  "ip-addresses"?: { "ip-address": string; "ip-address-type": string; prefix: number }[];
}

export const configOf = (path: string): Promise<Config> => call("GET", `${path}/config`);
export const statusOf = (path: string): Promise<Status> => call("GET", `${path}/status/current`);
export const pendingOf = (path: string): Promise<Pending[]> => call("GET", `${path}/pending`);

export async function addressesOf(path: string): Promise<string[]> {
  const reply = await call<{ result: Interface[] }>("GET", `${path}/agent/network-get-interfaces`);
  return reply.result
    .filter((one) => one.name !== "lo")
    .flatMap((one) => (one["ip-addresses"] ?? []).map((address) => address["ip-address"]))
    .filter((address) => !address.startsWith("fe80"));
}

export const change = (path: string, words: Record<string, string>): Promise<null> => call("PUT", `${path}/config`, words);

/** What a change would do, without doing it. */
export const plan = (path: string, words: Record<string, string>): Promise<{ steps: { title: string }[]; effects: string[] }> =>
  call("POST", `${path}/config`, { ...words, dryrun: 1 });
