/** Bytes of a resumable upload on their way (docs/format/uploads.md). (`fetch` does not tell how far a body is.) */

import { ApiError, csrfToken, type Problem } from "../../api/client";
import { t } from "../../i18n";

export interface Sent {
  offset: number;
  /** The task that goes on with the file, once all of it is there. */
  task?: string;
}

const TYPE = "application/offset+octet-stream";

/** How far an upload has come, for certain: whoever still sends is cut off. Raises ApiError. */
export function reached(path: string, signal: AbortSignal): Promise<Sent> {
  return request("HEAD", path, null, {}, signal, () => {});
}

/** Send a file from `offset` on. Raises ApiError: with status 0 when the connection broke, 409 or 423 when it stands
 * somewhere else by now; `reached` then says where. */
export function send(path: string, file: Blob, offset: number, signal: AbortSignal, advance: (offset: number) => void): Promise<Sent> {
  const headers = { "Upload-Offset": String(offset), "Content-Type": TYPE };
  return request("PATCH", path, file.slice(offset), headers, signal, (sent) => advance(offset + sent));
}

function request(
  method: "HEAD" | "PATCH", path: string, body: Blob | null, headers: Record<string, string>, signal: AbortSignal, advance: (sent: number) => void,
): Promise<Sent> {
  return new Promise((resolve, reject) => {
    const call = new XMLHttpRequest();
    const broke = (): void => reject(new ApiError(0, { code: "unreachable", message: t("common.uploadBroke") }));
    call.open(method, `/api2/json${path}`);
    call.setRequestHeader("CSRFPreventionToken", csrfToken());
    for (const [name, value] of Object.entries(headers)) call.setRequestHeader(name, value);
    call.upload.onprogress = (event) => advance(event.loaded);
    call.onerror = broke;
    call.onabort = broke;
    call.onload = () => {
      const offset = call.getResponseHeader("Upload-Offset");
      const task = call.getResponseHeader("Tarmac-Task");
      if (call.status < 300 && offset !== null) resolve({ offset: Number(offset), ...(task ? { task } : {}) });
      else reject(new ApiError(call.status, problemOf(call)));
    };
    signal.addEventListener("abort", () => call.abort());
    call.send(body);
  });
}

function problemOf(call: XMLHttpRequest): Problem {
  const code = String(call.status);
  try {
    const body = JSON.parse(call.responseText) as { message?: string; error?: Partial<Problem> };
    return { code, ...body.error, message: (body.error?.message ?? body.message ?? call.statusText).trim() };
  } catch {
    return { code, message: call.statusText };
  }
}
