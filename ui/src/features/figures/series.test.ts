import { expect, test, vi } from "vitest";

vi.stubGlobal("document", { documentElement: { lang: "" } });
const { between, CHARTS, columns, known, summary } = await import("./series");

const rows = [{ time: 60, cpu: 0.5, netin: 1024 }, { time: 120 }, { time: 180, cpu: 0.25, netin: 2048 }];

test("a gap stays a gap, and what nothing is known of has no chart", () => {
  expect(known("guest", rows).map((chart) => chart.id)).toEqual(["cpu", "network"]);
  expect(columns(CHARTS.guest[0]!, rows)).toEqual([[60, 120, 180], [0.5, null, 0.25]]);
});

test("a chart in words", () => {
  expect(summary(CHARTS.guest[0]!, rows)).toBe("now 25 %, from 25 % to 50 %");
  expect(summary(CHARTS.guest[2]!, rows)).toBe("Received: now 2 KiB/s, from 1 KiB/s to 2 KiB/s");
  expect(summary(CHARTS.guest[0]!, [{ time: 1 }])).toBe("Nothing is known of this time.");
});

test("counters become bytes a second; one that began anew does not", () => {
  const first = { time: 10, row: { cpu: 0.1, mem: 5, netin: 100, netout: 100 } };
  const second = { time: 12, row: { cpu: 0.2, mem: 6, netin: 300, netout: 50 } };
  expect(between("guest", undefined, first)).toEqual({ time: 10, cpu: 0.1, mem: 5 });
  expect(between("guest", first, second)).toEqual({ time: 12, cpu: 0.2, mem: 6, netin: 100 });
  expect(between("node", first, second)).toMatchObject({ memused: 6 });
});
