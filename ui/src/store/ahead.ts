/** The event stream, asked for before there is a page to show it: its messages are kept until `feed.ts` takes them over. */

import { keptLogin, send } from "../lib/kept";

/** A connection and what has come by it so far. */
export interface Ahead {
  socket: WebSocket;
  messages: unknown[];
}

let begun: Ahead | null = null;
let taken = false;

export function open(query: Record<string, string> = {}): WebSocket {
  return new WebSocket(`wss://${location.host}/api2/events?${new URLSearchParams(query)}`);
}

/** Nothing is asked for where nobody has logged in. */
export function ahead(): void {
  const kept = keptLogin();
  if (!kept || taken || document.hidden) return;
  send(kept.ticket); // somebody else may have logged in in another tab
  const made: Ahead = { socket: open(), messages: [] };
  made.socket.onmessage = (event: MessageEvent<string>) => made.messages.push(JSON.parse(event.data));
  begun = made;
}

/** The connection that was begun, once, if it still stands. */
export function takeOver(): Ahead | null {
  const made = begun;
  begun = null;
  taken = true;
  if (!made || made.socket.readyState > WebSocket.OPEN) return null;
  return made;
}

/** Somebody else logs in, or nobody. */
export function giveUp(): void {
  takeOver()?.socket.close();
}
