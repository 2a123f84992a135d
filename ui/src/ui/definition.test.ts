import { expect, test } from "vitest";

import { type Asked, beforeOf, changeOf, shownOf, wishOf } from "./definition";

const ASKED: Asked[] = [
  { key: "name", label: "", fixed: true },
  { key: "comment", label: "" },
  { key: "password", label: "", kind: "secret" },
  { key: "mode", label: "", kind: "choice", initial: "tls" },
  { key: "to", label: "", kind: "words" },
  { key: "content", label: "", kind: "choices", joined: true },
  { key: "body", label: "", kind: "base64" },
  { key: "header", label: "", kind: "headers" },
];
const RECORD = { comment: "c", to: ["a", "b"], content: "iso,images", body: btoa("h\xc3\xa9"), header: ["name=X-A,value=" + btoa("1: 2")] };
const before = Object.fromEntries(ASKED.map((field) => [field.key, shownOf(field, RECORD)]));

test("present values as people read them", () => {
  expect(before).toEqual({ name: "", comment: "c", password: "", mode: "tls", to: "a, b", content: "iso,images", body: "h\u00e9", header: "X-A: 1: 2" });
});

test("only what was changed is sent; what was emptied goes; a secret left empty stays", () => {
  expect(wishOf(ASKED, before, before)).toEqual({ set: {}, gone: [] });
  const wish = wishOf(ASKED, before, { ...before, name: "other", comment: "", to: "a b,c", content: "iso", body: "\u00fc", header: "X-A: 3\nX-B: 4", password: "" });
  expect(wish).toEqual({
    set: { to: ["a", "b", "c"], content: "iso", body: btoa("\xc3\xbc"), header: ["name=X-A,value=" + btoa("3"), "name=X-B,value=" + btoa("4")] },
    gone: ["comment"],
  });
  expect(changeOf(wish, "d").delete).toBe("comment");
  expect(changeOf(wish, "d", true)).toMatchObject({ delete: ["comment"], digest: "d" });
  expect(wishOf(ASKED, before, { ...before, password: "new" }).set).toEqual({ password: "new" });
});

test("a new one sends what is filled in, and what holds from the start", () => {
  expect(wishOf(ASKED, null, { name: "n", comment: "" })).toEqual({ set: { name: "n", mode: "tls" }, gone: [] });
});

test("secrets with names: one that is named alone keeps its value", () => {
  const secrets: Asked[] = [{ key: "secret", label: "", kind: "secrets" }];
  const had = beforeOf(secrets, { secret: ["name=KEY", "name=OTHER"] });
  expect(had).toEqual({ secret: "KEY\nOTHER" });
  expect(wishOf(secrets, had, had)).toEqual({ set: {}, gone: [] });
  expect(wishOf(secrets, had, { secret: "KEY\nNEW: n" }).set).toEqual({ secret: ["name=KEY", "name=NEW,value=" + btoa("n")] });
  expect(wishOf(secrets, had, { secret: "" })).toEqual({ set: {}, gone: ["secret"] });
});

test("words of one parameter are fields, and those that are not asked for stay", () => {
  const words: Asked[] = [
    { key: "scope", label: "", kind: "choice", within: "sync" },
    { key: "enable-new", label: "", kind: "flag", initial: "1", within: "sync" },
  ];
  const had = beforeOf(words, { sync: "purge=1,scope=users" });
  expect(had).toEqual({ sync: "purge=1,scope=users", scope: "users", "enable-new": "1" });
  expect(wishOf(words, had, had)).toEqual({ set: {}, gone: [] });
  expect(wishOf(words, had, { ...had, scope: "both", "enable-new": "0" }).set).toEqual({ sync: "purge=1,scope=both,enable-new=0" });
  expect(wishOf(words, null, { scope: "groups", "enable-new": "1" }).set).toEqual({ sync: "scope=groups" });
  expect(wishOf(words, null, { scope: "", "enable-new": "1" })).toEqual({ set: {}, gone: [] });
  const one = beforeOf(words, { sync: "scope=users" });
  expect(wishOf(words, one, { ...one, scope: "" })).toEqual({ set: {}, gone: ["sync"] });
});
