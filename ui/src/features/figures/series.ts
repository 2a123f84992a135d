/** Figures as series: which lines belong in which chart, how their values read, and a sentence of each. Pure. */

import type { Figures } from "../../api/types";
import { t } from "../../i18n";
import { bytes, percent } from "../../lib/format";

export type Kind = "guest" | "node" | "storage";
export type Name = Exclude<keyof Figures, "time">;
type Unit = "part" | "bytes" | "rate" | "number";

type Word =
  | "cpu" | "mem" | "maxmem" | "netin" | "netout" | "diskread" | "diskwrite" | "load" | "iowait" | "root" | "used" | "total"
  | "network" | "disks" | "space";

export interface Line {
  of: Name;
  label: Word;
}

export interface Chart {
  id: string;
  title: Word;
  unit: Unit;
  lines: readonly Line[];
}

const NETWORK: Chart = {
  id: "network", title: "network", unit: "rate",
  lines: [{ of: "netin", label: "netin" }, { of: "netout", label: "netout" }],
};

export const CHARTS: Record<Kind, readonly Chart[]> = {
  guest: [
    { id: "cpu", title: "cpu", unit: "part", lines: [{ of: "cpu", label: "cpu" }] },
    { id: "memory", title: "mem", unit: "bytes", lines: [{ of: "mem", label: "mem" }, { of: "maxmem", label: "maxmem" }] },
    NETWORK,
    { id: "disks", title: "disks", unit: "rate", lines: [{ of: "diskread", label: "diskread" }, { of: "diskwrite", label: "diskwrite" }] },
  ],
  node: [
    { id: "cpu", title: "cpu", unit: "part", lines: [{ of: "cpu", label: "cpu" }, { of: "iowait", label: "iowait" }] },
    { id: "memory", title: "mem", unit: "bytes", lines: [{ of: "memused", label: "mem" }, { of: "memtotal", label: "maxmem" }] },
    { id: "load", title: "load", unit: "number", lines: [{ of: "loadavg", label: "load" }] },
    NETWORK,
    { id: "root", title: "root", unit: "bytes", lines: [{ of: "rootused", label: "used" }, { of: "roottotal", label: "total" }] },
  ],
  storage: [
    { id: "space", title: "space", unit: "bytes", lines: [{ of: "used", label: "used" }, { of: "total", label: "total" }] },
  ],
};

/** Charts of which the rows know anything. */
export function known(kind: Kind, rows: readonly Figures[]): Chart[] {
  return CHARTS[kind].filter((chart) => chart.lines.some((line) => rows.some((row) => row[line.of] !== undefined)));
}

/** Times and one list of values for each line, as uPlot takes them; null where nothing is known. */
export function columns(chart: Chart, rows: readonly Figures[]): [number[], ...(number | null)[][]] {
  return [rows.map((row) => row.time), ...chart.lines.map((line) => rows.map((row) => row[line.of] ?? null))];
}

export function reading(unit: Unit, value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (unit === "part") return percent(value);
  if (unit === "number") return value.toFixed(2);
  return unit === "rate" ? t("figures.perSecond", { n: bytes(value) }) : bytes(value);
}

/** The chart in words, for those who do not see it. */
export function summary(chart: Chart, rows: readonly Figures[]): string {
  const parts = chart.lines.flatMap((line) => {
    const values = rows.map((row) => row[line.of]).filter((value) => value !== undefined);
    if (!values.length) return [];
    const read = (value: number | undefined): string => reading(chart.unit, value);
    const spread = { now: read(values.at(-1)), least: read(Math.min(...values)), most: read(Math.max(...values)) };
    if (chart.lines.length === 1) return [t("figures.summaryAlone", spread)];
    return [t("figures.summaryOne", { name: t(`figures.${line.label}`), ...spread })];
  });
  return parts.length ? parts.join("; ") : t("figures.none");
}

const COUNTERS = ["netin", "netout", "diskread", "diskwrite"] as const;

/** What an object's row says at a moment, with its counters. */
export interface Sample {
  time: number;
  row: Readonly<Record<string, unknown>>;
}

/** The figures between two samples: counters become bytes a second; one that fell began anew and is not known. */
export function between(kind: Kind, last: Sample | undefined, now: Sample): Figures {
  const figures: Figures = { time: now.time };
  const set = (name: Name, value: unknown): void => {
    if (typeof value === "number") figures[name] = value;
  };
  set("cpu", now.row["cpu"]);
  set(kind === "node" ? "memused" : "mem", now.row["mem"]);
  set(kind === "node" ? "memtotal" : "maxmem", now.row["maxmem"]);
  const seconds = last ? now.time - last.time : 0;
  for (const name of COUNTERS) {
    const [before, after] = [last?.row[name], now.row[name]];
    if (typeof before === "number" && typeof after === "number" && after >= before && seconds > 0) set(name, (after - before) / seconds);
  }
  return figures;
}
