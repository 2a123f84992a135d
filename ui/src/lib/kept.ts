/** The login that is kept between visits, as long as the browser's tab (never a password). */

export interface Kept {
  username: string;
  ticket: string;
  token: string;
  /** When the ticket was given, milliseconds. */
  at: number;
}

const NAME = "tarmac-session";
const COOKIE = "PVEAuthCookie";
const GOOD_MS = 110 * 60_000; // a ticket is good for two hours

/** Null where there is none, or its ticket has ended. */
export function keptLogin(): Kept | null {
  const found = JSON.parse(sessionStorage.getItem(NAME) ?? "null") as Kept | null;
  return found && Date.now() - found.at < GOOD_MS ? found : null;
}

/** What the browser sends with every request from now on. */
export function send(ticket: string | null): void {
  const value = ticket === null ? "; max-age=0" : encodeURIComponent(ticket);
  document.cookie = `${COOKIE}=${value}; path=/; secure; samesite=strict`;
}

export function keep(login: Kept | null): void {
  if (login) sessionStorage.setItem(NAME, JSON.stringify(login));
  else sessionStorage.removeItem(NAME);
}
