/** Sending a file to a storage, with its progress. (`fetch` does not tell how far a body is.) */

import { ApiError, csrfToken } from "../../api/client";
import { t } from "../../i18n";

export function upload(path: string, content: string, file: File, advance: (part: number) => void): Promise<string> {
  const form = new FormData();
  form.set("content", content);
  form.set("filename", file, file.name);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api2/json${path}/upload`);
    request.setRequestHeader("CSRFPreventionToken", csrfToken());
    request.upload.onprogress = (event) => advance(event.loaded / (event.total || 1));
    request.onerror = () => reject(new ApiError(0, { code: "unreachable", message: t("common.uploadBroke") }));
    request.onload = () => {
      const body = JSON.parse(request.responseText || "{}") as { data?: string; message?: string; error?: object };
      if (request.status === 200) resolve(body.data ?? "");
      else {
        const message = (body.message ?? request.statusText).trim();
        reject(new ApiError(request.status, { code: String(request.status), message, ...body.error }));
      }
    };
    request.send(form);
  });
}
