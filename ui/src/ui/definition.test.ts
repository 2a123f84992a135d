import { expect, test } from "vitest";

import { type Asked, changeOf, shownOf, wishOf } from "./definition";

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
