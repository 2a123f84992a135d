/** Who is logged in: the ticket, its renewal, and what is remembered between visits (never a password). */

import { t } from "../i18n";
import { ask, dropTicket, useTicket } from "./client";
import type { RealmRow, Ticket } from "./types";

export interface Session {
  username: string;
  clustername?: string;
}

const KEPT = "tarmac-session";
const RENEW_MS = 30 * 60_000;

export function realms(): Promise<RealmRow[]> {
  return ask("GET /access/domains", {});
}

/** What a login still lacks: `ask` takes the code of a second factor and goes on. */
export class SecondFactor extends Error {
  constructor(readonly ask: (kind: "totp" | "recovery", code: string) => Promise<Session>) {
    super(t("common.secondFactor"));
  }
}

/** Raises ApiError for a wrong password, SecondFactor where a password alone is not enough. */
export async function login(username: string, password: string): Promise<Session> {
  const reply = await ask("POST /access/ticket", { username, password });
  if (!reply.NeedTFA) return accept(reply);
  throw new SecondFactor(async (kind, code) =>
    accept(
      await ask("POST /access/ticket", {
        username, password: `${kind}:${code}`, "tfa-challenge": reply.ticket,
      }),
    ),
  );
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

/** Who is logged in, `name@realm`. */
export function whoami(): string {
  return (JSON.parse(sessionStorage.getItem(KEPT) ?? "{}") as { username?: string }).username ?? "";
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
  const { username, ticket, CSRFPreventionToken: token } = reply;
  useTicket(ticket, token);
  sessionStorage.setItem(KEPT, JSON.stringify({ username, ticket, token }));
  return { username };
}
