/**
 * The API as the page calls it. Every refusal is an `ApiError` with the five parts that the server gives: what happened,
 * why, the line that shows it, and what to do.
 */

import { t } from "../i18n";
import { send } from "../lib/kept";
import type { Api, ErrorParts, Fix } from "./types";

export type { Fix };
export type Params = Record<string, string | number | boolean | readonly string[] | undefined>;
export type Method = "GET" | "POST" | "PUT" | "DELETE";

export interface Problem extends ErrorParts {
  /** Of bad input: the parameters' own texts. */
  errors?: Record<string, string>;
}

/** What a change would do. */
export interface Plan {
  steps: { title: string }[];
  effects: string[];
}

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(problem.message);
  }
}

const BASE = "/api2/json";
let csrf = "";
let loggedOut: () => void = () => {};

/** Called when the server no longer knows the login. */
export function onLoggedOut(listener: () => void): void {
  loggedOut = listener;
}

export function useTicket(ticket: string, token: string): void {
  send(ticket);
  csrf = token;
}

export function dropTicket(): void {
  send(null);
  csrf = "";
}

/** For requests that are not made here. */
export function csrfToken(): string {
  return csrf;
}

/** One call. Raises ApiError; a lost connection is one, too, with status 0. */
export async function call<T>(method: Method, path: string, params: Params = {}, signal?: AbortSignal): Promise<T> {
  return (await whole<T>(method, path, params, signal)).data;
}

/** One declared call: `ask("GET /nodes/{node}/tasks", { node, limit: 50 })`. Raises as `call`. */
export async function ask<K extends keyof Api>(key: K, params: Api[K]["params"], signal?: AbortSignal): Promise<Api[K]["reply"]> {
  return call<Api[K]["reply"]>(...request(key, params), signal);
}

/** What such a call would do, without doing it. */
export function foresee<K extends keyof Api>(key: K, params: Api[K]["params"]): Promise<Plan> {
  const [method, path, rest] = request(key, params);
  return call<Plan>(method, path, { ...rest, dryrun: 1 });
}

function request(key: string, params: object): [Method, string, Params] {
  const [method, pattern = ""] = key.split(" ");
  const rest: Params = { ...params };
  const path = pattern.replaceAll(/\{([a-z-]+)\}/g, (_, name: string) => {
    const value = String(rest[name] ?? "");
    delete rest[name];
    return encodeURIComponent(value);
  });
  return [method as Method, path, rest];
}

/** As `call`, with what stands beside `data` (`total` of paged lists, the outcome of a task waited for). */
export async function whole<T>(
  method: Method,
  path: string,
  params: Params = {},
  signal?: AbortSignal,
): Promise<{ data: T; total?: number }> {
  const words = encode(params);
  const inUrl = method === "GET" || method === "DELETE";
  const request: RequestInit = { method, credentials: "same-origin" };
  if (signal) request.signal = signal;
  if (method !== "GET") request.headers = { CSRFPreventionToken: csrf };
  if (!inUrl) request.body = words;
  const response = await reach(`${BASE}${path}${inUrl && words.size ? `?${words}` : ""}`, request);
  const text = await response.text();
  const body = text ? (JSON.parse(text) as { data: T; total?: number }) : { data: null as T };
  if (response.ok) return body;
  if (response.status === 401 && path !== "/access/ticket") loggedOut();
  throw new ApiError(response.status, problemOf(response, body));
}

async function reach(url: string, request: RequestInit): Promise<Response> {
  try {
    return await fetch(url, request);
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new ApiError(0, {
      code: "unreachable",
      message: t("common.unreachable"),
      cause: t("common.unreachableWhy"),
      evidence: String(cause),
    });
  }
}

function encode(params: Params): URLSearchParams {
  const words = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    if (value === undefined) continue;
    if (typeof value === "object") value.forEach((item) => words.append(key, item));
    else words.set(key, typeof value === "boolean" ? String(Number(value)) : String(value));
  }
  return words;
}

function problemOf(response: Response, body: unknown): Problem {
  const record = (body ?? {}) as Partial<Problem> & { error?: Partial<Problem> };
  return {
    ...record.error,
    code: record.error?.code ?? String(response.status),
    message: (record.error?.message ?? record.message ?? response.statusText).trim(),
    ...(record.errors ? { errors: record.errors } : {}),
  };
}
