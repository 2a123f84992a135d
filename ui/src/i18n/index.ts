/**
 * The page's words: `t("guests.count", { n: 3 })`. English is in the shell, every other language is loaded when it is
 * chosen. Keys and the values they want are checked by the compiler; `texts.test.ts` finds words outside of here.
 */

import { useSyncExternalStore } from "react";

import { en } from "./en";
import { Sayings, type Sentences } from "./sentences";

export type En = typeof en;
type Plural = { one: string; other: string };
/** What a language has to say: the same keys, each with a text, or with one for each plural form of its own. */
export type Messages = {
  [Area in keyof En]: { [Key in keyof En[Area]]: En[Area][Key] extends string ? string : Plural & Partial<Record<Intl.LDMLPluralRule, string>> };
};
export type Key = { [Area in keyof En]: `${Area & string}.${keyof En[Area] & string}` }[keyof En];

type Text<K extends Key> = K extends `${infer Area extends keyof En & string}.${infer Name}`
  ? Name extends keyof En[Area] ? (En[Area][Name] extends Plural ? En[Area][Name]["other"] : En[Area][Name]) : never
  : never;
type Names<S> = S extends `${string}{${infer Name}}${infer Rest}` ? Name | Names<Rest> : never;
type Values<K extends Key> = Record<Names<Text<K>>, string | number>;
type Wanted<K extends Key> = [Names<Text<K>>] extends [never] ? [] : [values: Values<K>];

/** Each language in its own name. */
export const LANGUAGES = { en: "English", de: "Deutsch" } as const;
export type Language = keyof typeof LANGUAGES;
/** The page's own words, and what the server says. */
const LOADERS: Record<Language, () => Promise<{ own: Messages; server: Sentences }>> = {
  en: () => Promise.resolve({ own: en, server: {} }),
  de: () => Promise.all([import("./de"), import("./de/server")]).then(([{ de }, { server }]) => ({ own: de, server })),
};
const KEPT = "tarmac-language";

let language: Language = "en";
let messages: Messages = en;
let sayings = new Sayings({});
let plurals = new Intl.PluralRules("en");
let numbers = new Intl.NumberFormat("en");
const listeners = new Set<() => void>();

/** A text in the language of the page. `{name}` stands for a value; `n` decides on the plural form. */
export function t<K extends Key>(key: K, ...[values]: Wanted<K>): string {
  const dot = key.indexOf(".");
  const area = messages[key.slice(0, dot) as keyof Messages] as Record<string, string | Plural>;
  const found = area[key.slice(dot + 1)] ?? key;
  const given = (values ?? {}) as Record<string, string | number>;
  const text = typeof found === "string" ? found : (found[plurals.select(Number(given["n"])) as keyof Plural] ?? found.other);
  return text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => {
    const value = given[name];
    return value === undefined ? whole : typeof value === "number" ? numbers.format(value) : value;
  });
}

/** The text of a name that the server gave (a state, a kind of task), or the name itself where we have no text. */
export function word(area: keyof Messages, name: string, otherwise: string): string {
  const found = (messages[area] as Record<string, string | Plural>)[name];
  return typeof found === "string" ? found : otherwise;
}

/** What the server said in English, in the language of the page; undefined where it stays English. */
export function said(english: string): string | undefined {
  return language === "en" ? english : sayings.say(english);
}

export function locale(): Language {
  return language;
}

/** The language of an earlier visit, else the first of the browser's that there is. */
export function preferred(): Language {
  const wishes = [localStorage.getItem(KEPT), ...navigator.languages].map((one) => one?.slice(0, 2));
  return (wishes.find((one) => one !== undefined && one in LANGUAGES) as Language | undefined) ?? "en";
}

/** Load a language and show everything in it. When it cannot be loaded, all stays as it is and the promise rejects. */
export async function speak(next: Language): Promise<void> {
  const { own, server } = await LOADERS[next]();
  messages = own;
  sayings = new Sayings(server);
  language = next;
  plurals = new Intl.PluralRules(next);
  numbers = new Intl.NumberFormat(next);
  document.documentElement.lang = next;
  listeners.forEach((listener) => listener());
}

/** As `speak`, and for the visits to come. */
export async function choose(next: Language): Promise<void> {
  await speak(next);
  localStorage.setItem(KEPT, next);
}

export function useLanguage(): Language {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, locale);
}
