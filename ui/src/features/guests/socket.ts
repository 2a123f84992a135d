/** Where a console is opened: the WebSocket behind an offer of `vncproxy` or `termproxy`. */

import { call } from "../../api/client";
import type { ConsoleOffer } from "../../api/types";
import { apiPath, type Resource } from "../../store/inventory";

export type Offer = ConsoleOffer;

export async function offer(row: Resource, kind: "vncproxy" | "termproxy"): Promise<{ url: string; offer: Offer }> {
  const params = kind === "vncproxy" ? { websocket: 1, "generate-password": 1 } : {};
  const made = await call<Offer>("POST", `${apiPath(row)}/${kind}`, params);
  const query = new URLSearchParams({ port: String(made.port), vncticket: made.ticket });
  return { url: `wss://${location.host}/api2/json${apiPath(row)}/vncwebsocket?${query}`, offer: made };
}
