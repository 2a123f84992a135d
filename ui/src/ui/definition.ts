/** What a definition (a realm, a target, a storage) is asked for, and what a change of it sends. Pure. */

import type { Params } from "../api/client";

export type Kind = "text" | "secret" | "choice" | "choices" | "flag" | "number" | "words" | "lines" | "base64" | "headers" | "secrets";
export type Values = Readonly<Record<string, string>>;

/** One field. `words`, `lines` and `choices` are lists, sent as one parameter each, or as one text when `joined`. */
export interface Asked {
  key: string;
  label: string;
  kind?: Kind;
  help?: string;
  choices?: readonly string[] | readonly { value: string; label: string }[];
  required?: boolean;
  /** Asked only of a new one. */
  fixed?: boolean;
  joined?: boolean;
  /** It is one of the words (`KEY=...`) of this parameter. */
  within?: string;
  /** What holds while it is not set. */
  initial?: string;
  /** Folded away at first. */
  more?: boolean;
}

export interface Wish {
  set: Params;
  gone: string[];
}

/** The field's value in a record of the API, as the form shows it. */
export function shownOf(field: Asked, record: Readonly<Record<string, unknown>>): string {
  const value = field.within ? wordsOf(record[field.within]).get(field.key) : record[field.key];
  if (value === undefined || value === null) return field.initial ?? "";
  if (typeof value === "boolean") return value ? "1" : "0";
  const items = Array.isArray(value) ? value.map(String) : String(value).split(",");
  switch (field.kind) {
    case "words": return items.join(", ");
    case "choices": return items.join(",");
    case "lines": return Array.isArray(value) ? items.join("\n") : String(value);
    case "headers": return (Array.isArray(value) ? items : [String(value)]).map(headerLine).join("\n");
    case "secrets": return (Array.isArray(value) ? items : [String(value)]).map((item) => item.replace(/^name=/, "")).join("\n");
    case "base64": return decoded(String(value));
    default: return String(value);
  }
}

/** What a form begins with, and of parameters with words of their own the whole text. */
export function beforeOf(asked: readonly Asked[], record: Readonly<Record<string, unknown>>): Values {
  const whole = asked.flatMap(({ within }) => (within && record[within] !== undefined ? [[within, String(record[within])]] : []));
  return Object.fromEntries([...whole, ...asked.map((field) => [field.key, shownOf(field, record)])]);
}

/** `a=1,b=2` as words by key. */
function wordsOf(text: unknown): Map<string, string> {
  const pairs = String(text ?? "").split(",").filter(Boolean).map((word) => word.split("=", 2));
  return new Map(pairs.map(([key = "", value = ""]) => [key, value]));
}

/** What was changed against `before` (null: a new one), as parameters; emptied fields go, empty secrets are kept. */
export function wishOf(asked: readonly Asked[], before: Values | null, after: Values): Wish {
  const set: Params = {};
  const gone: string[] = [];
  for (const within of new Set(asked.flatMap((field) => field.within ?? []))) {
    const old = before?.[within] ?? "";
    const text = wordsSet(asked.filter((field) => field.within === within), old, before, after);
    if (text === old) continue;
    if (text) set[within] = text;
    else gone.push(within);
  }
  for (const field of asked.filter((one) => !one.within)) {
    const [old, now] = [before?.[field.key] ?? "", (after[field.key] ?? field.initial ?? "").trim()];
    if (before && (field.fixed || now === old.trim())) continue;
    if (now !== "") set[field.key] = sentOf(field, now);
    else if (before && field.kind !== "secret") gone.push(field.key);
  }
  return { set, gone };
}

/** The words of a parameter with what was changed; those that are not asked for stay. */
function wordsSet(fields: readonly Asked[], text: string, before: Values | null, after: Values): string {
  const words = wordsOf(text);
  for (const { key, initial = "" } of fields) {
    const now = (after[key] ?? "").trim();
    if (now === (before?.[key] ?? initial)) continue;
    if (now === initial) words.delete(key);
    else words.set(key, now);
  }
  return [...words].map(([key, value]) => `${key}=${value}`).join(",");
}

function sentOf(field: Asked, text: string): Params[string] {
  const list = (items: string[]): Params[string] => (field.joined ? items.join(",") : items);
  switch (field.kind) {
    case "words": return list(text.split(/[\s,]+/).filter(Boolean));
    case "choices": return list(text.split(",").filter(Boolean));
    case "lines": return list(linesOf(text));
    case "headers": case "secrets": return linesOf(text).map(headerParameter);
    case "base64": return encoded(text);
    default: return text;
  }
}

function linesOf(text: string): string[] {
  return text.split("\n").map((line) => line.trim()).filter(Boolean);
}

/** `name=N,value=BASE64`, as the API has it, is `N: value` for people. */
function headerLine(item: string): string {
  const [, name = "", value = ""] = /^name=([^,]*)(?:,value=(.*))?$/.exec(item) ?? [];
  return `${name}: ${decoded(value)}`;
}

function headerParameter(line: string): string {
  const colon = line.indexOf(":");
  const name = colon < 0 ? line : line.slice(0, colon).trim();
  return colon < 0 ? `name=${name}` : `name=${name},value=${encoded(line.slice(colon + 1).trim())}`;
}

function encoded(text: string): string {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));
}

function decoded(text: string): string {
  return new TextDecoder().decode(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));
}

/** A change as the API takes it; `repeated`: the keys to remove as a parameter each. */
export function changeOf(wish: Wish, digest: string | undefined, repeated = false): Params {
  return { ...wish.set, digest, ...(wish.gone.length ? { delete: repeated ? wish.gone : wish.gone.join(",") } : {}) };
}
