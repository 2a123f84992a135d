import { expect, test, vi } from "vitest";

vi.stubGlobal("document", { documentElement: { lang: "" } });
const { speak, t, word } = await import(".");

test("values, plural forms and the marks of the language", async () => {
  expect(t("guests.count", { n: 1 })).toBe("1 guest");
  expect(t("guests.count", { n: 10_000 })).toBe("10,000 guests");
  await speak("de");
  expect(document.documentElement.lang).toBe("de");
  expect(t("guests.count", { n: 10_000 })).toBe("10.000 Gäste");
  expect(t("action.typeNumber", { wanted: "1000" })).toBe("Zum Fortfahren 1000 eingeben");
  expect(word("tasks", "type_qmstart", "qmstart")).toBe("Starten");
  expect(word("tasks", "type_none", "none")).toBe("none");
});
