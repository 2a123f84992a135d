/** Who is logged in: the ticket, its renewal, and what is remembered between visits (never a password). */

import { t } from "../i18n";
import { keep, keptLogin } from "../lib/kept";
import type { KeyRequest } from "../lib/webauthn";
import { giveUp } from "../store/ahead";
import { ApiError, ask, dropTicket, useTicket } from "./client";
import type { RealmRow, Ticket } from "./types";

export interface Session {
  username: string;
  clustername?: string;
}

const RENEW_MS = 30 * 60_000;

export function realms(): Promise<RealmRow[]> {
  return ask("GET /access/domains", {});
}

/** What a login still lacks: `ask` takes the answer of a second factor and goes on. `key`: what a security key is asked. */
export class SecondFactor extends Error {
  constructor(
    readonly ask: (kind: "totp" | "recovery" | "webauthn", answer: string) => Promise<Session>,
    readonly key: KeyRequest | null,
  ) {
    super(t("common.secondFactor"));
  }
}

/** Raises ApiError for a wrong password, SecondFactor where a password alone is not enough. */
export async function login(username: string, password: string): Promise<Session> {
  const reply = await ask("POST /access/ticket", { username, password });
  if (!reply.NeedTFA) return accept(reply);
  const partial = reply.ticket ?? "";
  throw new SecondFactor(
    async (kind, answer) =>
      accept(await ask("POST /access/ticket", { username, password: `${kind}:${answer}`, "tfa-challenge": partial })),
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
  const url = await ask("POST /access/openid/auth-url", { realm, "redirect-url": HERE });
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
/** The secret of a login link (`tarmac login-link`), taken out of the address at once, too. It outdoes an earlier login. */
const linked = ((): string | null => {
  const secret = /^#once=(.+)$/.exec(location.hash)?.[1];
  if (!secret) return null;
  history.replaceState(null, "", location.pathname + location.search);
  keep(null);
  return secret;
})();
// A link that is opened where the page is open already changes nothing but what stands behind the `#`.
addEventListener("hashchange", () => location.hash.startsWith("#once=") && location.reload());
let taken = false;

/**
 * The session of who came by a login link or back from a provider; null where nobody did. Raises ApiError. A login that
 * this browser did not begin is refused: somebody else's code would log it in as somebody else.
 */
export async function comeBack(): Promise<Session | null> {
  if (taken) return null;
  taken = true;
  if (linked) return login("root@pam", linked);
  if (!returned) return null;
  const begun = sessionStorage.getItem(LEFT);
  sessionStorage.removeItem(LEFT);
  const state = returned.get("state") ?? "";
  if (!begun || begun !== state) {
    throw new ApiError(0, {
      code: "openid-foreign", message: t("login.foreign"), cause: t("login.foreignCause"),
      fixes: [{ text: t("login.again") }],
    });
  }
  const error = returned.get("error");
  if (error) {
    const said = `${error} ${returned.get("error_description") ?? ""}`.trim().slice(0, 300);
    throw new ApiError(0, { code: "openid-refused", message: t("login.refused"), evidence: said });
  }
  const code = returned.get("code") ?? "";
  return accept(await ask("POST /access/openid/login", { code, state, "redirect-url": HERE }));
}

/**
 * The session of an earlier visit, if its ticket should still be good. Nobody waits for the server to say so: it gives
 * another ticket meanwhile, and `refused` is called when it does not.
 */
export function resume(refused: () => void): Session | null {
  const kept = keptLogin();
  if (!kept) return null;
  useTicket(kept.ticket, kept.token);
  login(kept.username, kept.ticket).catch((raised: unknown) => {
    if (raised instanceof ApiError && raised.status === 0) return; // it cannot be reached: that is told elsewhere
    logout();
    refused();
  });
  return { username: kept.username };
}

/** Who is logged in, `name@realm`. */
export function whoami(): string {
  return keptLogin()?.username ?? "";
}

export function logout(): void {
  keep(null);
  giveUp();
  dropTicket();
}

/** Renews the ticket now and then; returns what ends that. A ticket is good for two hours. */
export function keepAlive(username: string): () => void {
  const timer = setInterval(() => {
    const kept = keptLogin();
    if (kept) login(username, kept.ticket).catch(() => {});
  }, RENEW_MS);
  return () => clearInterval(timer);
}

function accept(reply: Ticket): Session {
  const { username, ticket, CSRFPreventionToken: token } = reply;
  useTicket(ticket, token);
  keep({ username, ticket, token, at: Date.now() });
  return { username };
}
