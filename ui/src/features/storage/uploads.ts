/**
 * The files that are being sent, for all storages: they go on while other views are looked at, over lost connections and
 * restarts of the daemon; after the page was loaded again when the same file is chosen once more.
 */

import { useSyncExternalStore } from "react";

import { problemFrom } from "../../actions/run";
import { ended } from "../../actions/settle";
import { ApiError, ask, type Problem } from "../../api/client";
import type { UploadRow } from "../../api/types";
import type { Place } from "./content";
import { reached, type Sent, send } from "./pieces";

export interface Upload {
  id: string;
  place: Place;
  name: string;
  size: number;
  offset: number;
  state: "sending" | "waiting" | "checking" | "failed";
  problem?: Problem;
}

const KEPT = "tarmac-uploads";
const WAITS_MS = [1000, 2000, 4000, 8000, 15_000];
const MANY = 1000; // what is remembered of files is dropped beyond this

let uploads: readonly Upload[] = [];
const ways = new Map<string, AbortController>();
const listeners = new Set<() => void>();

export function useUploads(): readonly Upload[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => uploads,
  );
}

/** Send a file, or go on with one of which a part is there already. Ends when it has its place; never rejects. */
export async function upload(place: Place, content: "iso" | "import", file: File): Promise<void> {
  let id = "";
  try {
    const open = (await ask("GET /nodes/{node}/storage/{storage}/uploads", place)).find((row) => isOf(row, file));
    const row = open ?? (await ask("POST /nodes/{node}/storage/{storage}/uploads", { ...place, size: file.size, content, filename: file.name }));
    id = row.upload;
    remember(id, file);
    put({ id, place, name: file.name, size: file.size, offset: row.offset, state: "sending" });
    const sent = await through(id, place, file, row.offset);
    change(id, { offset: file.size, state: "checking" });
    const problem = sent.task ? await ended(sent.task) : null;
    if (problem) change(id, { state: "failed", problem });
    else drop(id);
  } catch (raised) {
    const problem = problemFrom(raised, file.name);
    if (!id) put({ id: `new ${file.name}`, place, name: file.name, size: file.size, offset: 0, state: "failed", problem });
    else if (!ways.get(id)?.signal.aborted) change(id, { state: "failed", problem });
  } finally {
    ways.delete(id);
  }
}

/** Stop sending, and have what has come in removed; shown until it is, so that the list that is asked then lacks it. */
export async function giveUp(id: string, place: Place): Promise<void> {
  ways.get(id)?.abort();
  if (!id.startsWith("new ")) await ask("DELETE /nodes/{node}/storage/{storage}/uploads/{upload}", { ...place, upload: id }).catch(() => null);
  drop(id);
}

/** All bytes, over as many connections as it takes. Raises ApiError for what no new attempt helps against. */
async function through(id: string, place: Place, file: File, from: number): Promise<Sent> {
  const path = `/nodes/${place.node}/storage/${place.storage}/uploads/${id}`;
  const way = new AbortController();
  ways.set(id, way);
  let at: Sent = { offset: from };
  for (let broken = 0; ; ) {
    try {
      if (at.offset > 0 || broken) at = await reached(path, way.signal);
      if (at.task || (at.offset === file.size && broken)) return at;
      change(id, { state: "sending", offset: at.offset });
      return await send(path, file, at.offset, way.signal, (offset) => {
        broken = 0;
        change(id, { offset });
      });
    } catch (raised) {
      if (way.signal.aborted || !(raised instanceof ApiError) || ![0, 409, 423, 502, 503].includes(raised.status)) throw raised;
      change(id, { state: "waiting" });
      await new Promise((resolve) => setTimeout(resolve, WAITS_MS[Math.min(broken, WAITS_MS.length - 1)]));
      broken += 1;
      at = { offset: at.offset || 1 }; // where it stands is asked
    }
  }
}

/** Which file an upload is of is remembered here by more than its name and size: another one must not go on with it. */
function remember(id: string, file: File): void {
  const known = Object.entries(kept()).slice(-MANY);
  localStorage.setItem(KEPT, JSON.stringify(Object.fromEntries([...known, [id, file.lastModified]])));
}

function kept(): Record<string, number> {
  return JSON.parse(localStorage.getItem(KEPT) ?? "{}") as Record<string, number>;
}

function isOf(row: UploadRow, file: File): boolean {
  return row.filename === file.name && row.size === file.size && !row.task && kept()[row.upload] === file.lastModified && !ways.has(row.upload);
}

function put(one: Upload): void {
  uploads = [...uploads.filter((old) => old.id !== one.id), one];
  tell();
}

function change(id: string, fields: Partial<Upload>): void {
  uploads = uploads.map((one) => (one.id === id ? { ...one, ...fields } : one));
  tell();
}

function drop(id: string): void {
  uploads = uploads.filter((one) => one.id !== id);
  tell();
}

function tell(): void {
  listeners.forEach((listener) => listener());
}
