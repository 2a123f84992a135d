import { expect, test } from "vitest";

import { differences } from "./values";

test("records are opened, empty fields left out, lists told by what came and went", () => {
  expect(differences([
    { key: "comment", old: "", new: "c" },
    { key: "email", new: "" },
    { key: "texts", old: { port: "1", mode: "ldap" }, new: { port: "2", mode: "ldap" } },
    { key: "tokens", new: { ci: { expire: 0, comment: "" } } },
    { key: "members", old: ["a"], new: ["a", "b"] },
    { key: "entries", old: [{ role: "A", path: "/" }], new: [{ role: "A", path: "/" }, { role: "B", path: "/vms/1" }] },
    { key: "", old: "(a password)", new: "(a password)" },
  ])).toEqual([
    { key: "comment", old: "", new: "c" },
    { key: "port", old: "1", new: "2" },
    { key: "tokens.ci.expire", old: "", new: "0" },
    { key: "members", old: "a", new: "a, b" },
    { key: "entries", old: "", new: "B /vms/1" },
    { key: "", old: "", new: "" },
  ]);
});
