/** Who is logged in: the ticket, its renewal, and what is remembered between visits (never a password). */

import type { KeyRequest } from "../lib/webauthn";
import { ApiError, call, dropTicket, useTicket } from "./client";

export interface Session {
  username: string;
  clustername?: string;
}

interface Ticket {
  username: string;
  ticket?: string;
  CSRFPreventionToken?: string;
  NeedTFA?: number;
}

export interface Realm {
  realm: string;
  type: string;
  comment?: string;
  default?: number;
}

const KEPT = "tarmac-session";
const RENEW_MS = 30 * 60_000;

export function realms(): Promise<Realm[]> {
  return call<Realm[]>("GET", "/access/domains");
}

/** What a login still lacks: `ask` takes the answer of a second factor and goes on. `key`: what a security key is asked. */
export class SecondFactor extends Error {
  constructor(
    readonly ask: (kind: "totp" | "recovery" | "webauthn", answer: string) => Promise<Session>,
    readonly key: KeyRequest | null,
  ) {
    super("a second factor is asked for");
  }
}

/** Raises ApiError for a wrong password, SecondFactor where a password alone is not enough. */
export async function login(username: string, password: string): Promise<Session> {
  const reply = await call<Ticket>("POST", "/access/ticket", { username, password });
  if (!reply.NeedTFA) return accept(reply);
  const partial = reply.ticket ?? "";
  throw new SecondFactor(
    async (kind, answer) =>
      accept(
        await call<Ticket>("POST", "/access/ticket", {
          username, password: `${kind}:${answer}`, "tfa-challenge": partial,
        }),
      ),
    challengeIn(partial).webauthn ?? null,
  );
}

/** A first step's ticket says what may answer it: `PVE:!tfa!<JSON>:...`. */
function challengeIn(partial: string): { webauthn?: KeyRequest } {
  const json = /^PVE:!tfa!([^:]*):/.exec(partial)?.[1];
  return json ? (JSON.parse(decodeURIComponent(json)) as { webauthn?: KeyRequest }) : {};
}

const HERE = `${location.origin}/`;
const LEFT = "tarmac-openid";

/** Leave for a realm's provider of OpenID Connect; the browser comes back with a code. */
export async function leaveFor(realm: string): Promise<void> {
  const url = await call<string>("POST", "/access/openid/auth-url", { realm, "redirect-url": HERE });
  sessionStorage.setItem(LEFT, new URL(url).searchParams.get("state") ?? "");
  location.assign(url);
}

/** What a provider sent back with this page, taken out of the address at once so that nobody loads it again. */
const returned = ((): URLSearchParams | null => {
  const query = new URLSearchParams(location.search);
  if (!query.has("state") || !(query.has("code") || query.has("error"))) return null;
  history.replaceState(null, "", `${location.pathname}${location.hash}`);
  return query;
})();
let taken = false;

/**
 * The session of who came back from a provider; null where nobody did. Raises ApiError. A login that this browser did
 * not begin is refused: somebody else's code would log it in as somebody else.
 */
export async function comeBack(): Promise<Session | null> {
  if (!returned || taken) return null;
  taken = true;
  const begun = sessionStorage.getItem(LEFT);
  sessionStorage.removeItem(LEFT);
  const state = returned.get("state") ?? "";
  if (!begun || begun !== state) {
    throw new ApiError(0, {
      code: "openid-foreign", message: "This login was not begun here.",
      cause: "The address holds a provider's answer to a login of another browser or tab, or to an old one.",
      fixes: [{ text: "Log in again." }],
    });
  }
  const error = returned.get("error");
  if (error) {
    const said = `${error} ${returned.get("error_description") ?? ""}`.trim().slice(0, 300);
    throw new ApiError(0, { code: "openid-refused", message: "The provider refused the login.", evidence: said });
  }
  const code = returned.get("code") ?? "";
  return accept(await call<Ticket>("POST", "/access/openid/login", { code, state, "redirect-url": HERE }));
}

/** The session of an earlier visit, if its ticket is still good. */
export async function resume(): Promise<Session | null> {
  const kept = sessionStorage.getItem(KEPT);
  if (!kept) return null;
  const { username, ticket, token } = JSON.parse(kept) as { username: string; ticket: string; token: string };
  useTicket(ticket, token);
  try {
    return await login(username, ticket);
  } catch {
    logout();
    return null;
  }
}

/** The user who is logged in here; empty if nobody is. */
export function whoAmI(): string {
  const kept = sessionStorage.getItem(KEPT);
  return kept ? (JSON.parse(kept) as { username: string }).username : "";
}

export function logout(): void {
  sessionStorage.removeItem(KEPT);
  dropTicket();
}

/** Renews the ticket now and then; returns what ends that. A ticket is good for two hours. */
export function keepAlive(username: string): () => void {
  const timer = setInterval(() => {
    const kept = sessionStorage.getItem(KEPT);
    if (kept) login(username, (JSON.parse(kept) as { ticket: string }).ticket).catch(() => {});
  }, RENEW_MS);
  return () => clearInterval(timer);
}

function accept(reply: Ticket): Session {
  const { username, ticket = "", CSRFPreventionToken: token = "" } = reply;
  useTicket(ticket, token);
  sessionStorage.setItem(KEPT, JSON.stringify({ username, ticket, token }));
  return { username };
}
