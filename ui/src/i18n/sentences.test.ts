/** Which of the server's sentences have no German, and that those which have say it right. */

import { expect, test } from "vitest";

import { OPTIONS } from "../features/guests/config/options";
import { server } from "./de/server";
import { Sayings } from "./sentences";
import written from "./sentences.json";

/** Of each kind, how many of ten must have a translation at least. Help of options: all. */
const LEAST = { message: 9, cause: 9, fix: 9, parameter: 9, plan: 9, remark: 8 };
const places = (text: string): string[] => [...new Set(text.match(/\{\d\}/g))].sort();

test("a name, a number and a path stay as they are", () => {
  const sayings = new Sayings({ "guest {0} runs": "Gast {0} läuft", "guest {0} runs on {1}": "auf {1} läuft Gast {0}", plain: "schlicht" });
  expect(sayings.say("plain")).toBe("schlicht");
  expect(sayings.say("guest 100 (a.b) runs")).toBe("Gast 100 (a.b) läuft");
  expect(sayings.say("guest 100 runs on n1")).toBe("auf n1 läuft Gast 100");
  expect(sayings.say("something else")).toBeUndefined();
});

test("a sentence within a sentence is said, a name that reads like one is not", () => {
  const sayings = new Sayings({ "guest {0}: {1}": "Gast {0}: {1}", "it goes on after {0}, then": "er läuft nach {0} weiter", report: "berichten" });
  expect(sayings.say("guest 100: it goes on after less than 2 s, then")).toBe("Gast 100: er läuft nach less than 2 s weiter");
  expect(sayings.say("guest 100: report")).toBe("Gast 100: report");
});

test("help of the options: all is translated", () => {
  const help = OPTIONS.flatMap((option) => [option.help, ...(option.fields ?? []).map((field) => field.help)]);
  expect([...new Set(help)].filter((text) => !(text in server))).toEqual([]);
});

test.each(Object.entries(LEAST) as [keyof typeof LEAST, number][])("%s: what has no German is told", (kind, least) => {
  const missing = written[kind].filter((text) => !(text in server));
  if (missing.length) console.info(`no German for ${missing.length} of ${written[kind].length} sentences (${kind}):\n  ${missing.join("\n  ")}`);
  expect(missing.length).toBeLessThanOrEqual(Math.floor((written[kind].length * (10 - least)) / 10));
});

test("a translation has the places of its sentence", () => {
  for (const [english, german] of Object.entries(server)) expect(places(german), english).toEqual(places(english));
});
