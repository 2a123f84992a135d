/** Nothing that people read stands outside the catalogues, and every language says all of it. */

import { expect, test } from "vitest";
import { parseSync } from "vite";

import { de } from "./de";
import { en } from "./en";

const SOURCES = import.meta.glob<string>(["../**/*.tsx", "../**/*.ts", "!../**/*.test.ts", "!../i18n/**"], {
  eager: true, query: "?raw", import: "default",
});
/** Attributes and fields whose words are read by people (of our own parts, too). */
const SPOKEN = /^(label|title|alt|placeholder|description|name|submit|empty|consequence|aria-(label|description|roledescription|valuetext))$/;
/** Names, not words: the same in every language. */
const NAMES = new Set(["Tarmac", "Ctrl K"]);
const LANGUAGES = { de };

const KEYS = flat(en);

interface Node {
  type: string;
  start: number;
  [field: string]: unknown;
}

/** What is read in a source: text between tags, literals in spoken attributes and fields. */
function spoken(path: string, source: string): string[] {
  const found: string[] = [];
  const say = (node: Node, text: string): void => {
    if (!/\p{L}{2}/u.test(text) || NAMES.has(text.trim()) || KEYS.has(text) || text.startsWith("/")) return;
    found.push(`${path}:${source.slice(0, node.start).split("\n").length}: ${text.trim()}`);
  };
  const literal = (node: unknown): void => {
    const one = node as Node | null;
    if (!one || typeof one !== "object") return;
    if (one.type === "Literal" && typeof one["value"] === "string") say(one, one["value"]);
    if (one.type === "TemplateLiteral") (one["quasis"] as { value: { raw: string } }[]).forEach((part) => say(one, part.value.raw));
    if (one.type === "JSXExpressionContainer") literal(one["expression"]);
    if (one.type === "ConditionalExpression") [one["consequent"], one["alternate"]].forEach(literal);
    if (one.type === "LogicalExpression") [one["left"], one["right"]].forEach(literal);
  };
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) return node.forEach(visit);
    const one = node as Node | null;
    if (!one || typeof one !== "object") return undefined;
    if (one.type === "JSXText") say(one, String(one["value"]));
    if (one.type === "JSXElement" || one.type === "JSXFragment") (one["children"] as Node[]).forEach(literal);
    if (one.type === "JSXAttribute" && SPOKEN.test(nameOf(one["name"]))) literal(one["value"]);
    if (one.type === "Property" && path.endsWith(".tsx") && /^(label|title)$/.test(nameOf(one["key"]))) literal(one["value"]);
    Object.values(one).forEach(visit);
    return undefined;
  };
  const parsed = parseSync(path, source, { lang: "tsx" });
  expect(parsed.errors, path).toEqual([]);
  visit(parsed.program);
  return found;
}

function nameOf(node: unknown): string {
  return String((node as { name?: unknown; value?: unknown }).name ?? (node as { value?: unknown }).value ?? "");
}

/** `area.key` of a catalogue, with its text. */
function flat(messages: object): Map<string, string | Record<string, string>> {
  return new Map(Object.entries(messages).flatMap(([area, texts]) => Object.entries(texts as object).map(([key, text]) => [`${area}.${key}`, text])));
}

function valuesOf(text: string | Record<string, string> | undefined): string[] {
  const texts = typeof text === "string" ? text : Object.values(text ?? {}).join(" ");
  return [...new Set([...texts.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? ""))].sort();
}

test("the finder finds", () => {
  expect(spoken("x.tsx", `const a = <A title="Two words">{b ? "yes" : c}</A>;`)).toEqual(["x.tsx:1: yes", "x.tsx:1: Two words"]);
  expect(spoken("x.tsx", `const a = <A className="one two">–</A>;`)).toEqual([]);
});

test("no text outside the catalogues", () => {
  expect(Object.keys(SOURCES).length).toBeGreaterThan(30);
  expect(Object.entries(SOURCES).flatMap(([path, source]) => spoken(path, source))).toEqual([]);
});

test.each(Object.entries(LANGUAGES))("%s says all that English says, with the same values", (name, messages) => {
  const [own, english] = [flat(messages), flat(en)];
  expect([...own.keys()].sort()).toEqual([...english.keys()].sort());
  for (const [key, text] of english) expect(valuesOf(own.get(key)), `${name} ${key}`).toEqual(valuesOf(text));
  for (const [key, text] of own) {
    if (typeof text === "string") expect(text.trim(), key).not.toBe("");
    else expect(Object.keys(text), key).toEqual(expect.arrayContaining(new Intl.PluralRules(name).resolvedOptions().pluralCategories));
  }
});

test("no text is left that nobody shows", () => {
  const all = Object.values(SOURCES).join("\n");
  const made = [...all.matchAll(/`(\w+\.\w*)\$\{/g)].map((match) => match[1] ?? ""); // `guests.view_${id}` and the like
  const asked = [...all.matchAll(/word\("(\w+)", (?:`(\w*))?/g)].map((match) => `${match[1]}.${match[2] ?? ""}`);
  const starts = [...made, ...asked];
  const idle = [...flat(en).keys()].filter((key) => !all.includes(`"${key}"`) && !starts.some((start) => key.startsWith(start)));
  expect(idle).toEqual([]);
});
