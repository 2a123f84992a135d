/** Charts with uPlot, which is loaded when the first one is shown. The cursor is the same in all charts of a panel. */

import "uplot/dist/uPlot.min.css";

import { useMantineColorScheme } from "@mantine/core";
import { type ReactNode, useEffect, useRef } from "react";
import UPlot from "uplot";

import type { Figures } from "../../api/types";
import { locale, t } from "../../i18n";
import { type Chart, columns, type Kind, known, reading, summary } from "./series";

const HEIGHT = 140;
const X_SPACE = 70; // pixels between two times
const BINARY = Array.from({ length: 50 }, (_, i) => 2 ** i);
const PARTS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1];
const COLOURS = ["--mantine-color-blue-filled", "--busy"];

export default function Charts(props: { kind: Kind; rows: readonly Figures[]; sync: string }): ReactNode {
  const charts = known(props.kind, props.rows);
  if (!charts.length) return <p className="hint">{t("figures.none")}</p>;
  return (
    <div className="charts">
      {charts.map((chart) => (
        <One key={chart.id} chart={chart} rows={props.rows} sync={props.sync} />
      ))}
    </div>
  );
}

function One(props: { chart: Chart; rows: readonly Figures[]; sync: string }): ReactNode {
  const { chart, rows, sync } = props;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | null>(null);
  const { colorScheme } = useMantineColorScheme();
  const words = summary(chart, rows);
  useEffect(() => {
    const holder = place.current;
    if (!holder) return undefined;
    const made = new UPlot(optionsOf(chart, holder, sync), columns(chart, rows) as UPlot.AlignedData, holder);
    plot.current = made;
    const resize = new ResizeObserver(() => made.setSize({ width: holder.clientWidth, height: HEIGHT }));
    resize.observe(holder);
    return () => {
      resize.disconnect();
      made.destroy();
    };
    // New rows only change the data, below. eslint-disable-line
  }, [chart, sync, colorScheme, locale()]);
  useEffect(() => plot.current?.setData(columns(chart, rows) as UPlot.AlignedData), [chart, rows]);
  return (
    <figure className="chart">
      <figcaption>
        <strong>{t(`figures.${chart.title}`)}</strong> <span className="hint-line">{words}</span>
      </figcaption>
      <div ref={place} role="img" aria-label={`${t(`figures.${chart.title}`)}. ${words}`} />
    </figure>
  );
}

function optionsOf(chart: Chart, holder: HTMLElement, sync: string): UPlot.Options {
  const style = getComputedStyle(document.body);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
  return {
    width: holder.clientWidth || 300,
    height: HEIGHT,
    cursor: { sync: { key: sync }, drag: { x: false, y: false } },
    legend: { show: chart.lines.length > 1, live: false },
    scales: { y: { range: (_plot, _low, high) => [0, chart.unit === "part" ? Math.max(0.1, Math.min(1, high * 1.2)) : high * 1.1 || 1] } },
    axes: [
      { ...axis, space: X_SPACE, values: (_plot, times) => times.map((at) => clock(at, (times.at(-1) ?? 0) - (times[0] ?? 0))) },
      { ...axis, size: 72, ...incrs(chart), values: (_plot, values) => values.map((value) => reading(chart.unit, value)) },
    ],
    series: [
      {},
      ...chart.lines.map((line, i) => ({
        label: t(`figures.${line.label}`), stroke: colour(COLOURS[i] ?? ""), width: 1.5, spanGaps: false,
        ...(i ? { dash: [4, 4] } : { fill: `${colour(COLOURS[0] ?? "")}22` })
      })),
    ],
  };
}

/** Where lines may be: at round parts, and at round powers of two for bytes. */
function incrs(chart: Chart): { incrs?: number[] } {
  return chart.unit === "number" ? {} : { incrs: chart.unit === "part" ? PARTS : BINARY };
}

function clock(at: number, span: number): string {
  const form: Intl.DateTimeFormatOptions = span > 2 * 86_400 ? { day: "2-digit", month: "2-digit" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(span < 600 ? { second: "2-digit" } : {}) };
  return new Date(at * 1000).toLocaleString(locale(), form);
}
