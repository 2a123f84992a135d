/** Values as people read them. */

import { locale } from "../i18n";

/** A number as the page's language writes it, with at most so many decimals. */
export function number(value: number, decimals = 0): string {
  const key = `${locale()} ${decimals}`;
  let format = formats.get(key);
  if (!format) formats.set(key, (format = new Intl.NumberFormat(locale(), { maximumFractionDigits: decimals })));
  return format.format(value);
}
const formats = new Map<string, Intl.NumberFormat>(); // making one takes longer than a row of a list

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(value: number | undefined): string {
  if (value === undefined) return "–";
  let size = value;
  let unit = 0;
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${number(size, size >= 100 || unit === 0 ? 0 : 1)} ${UNITS[unit]}`;
}

export function percent(part: number | undefined, whole = 1): string {
  return part === undefined || !whole ? "–" : `${number((part / whole) * 100, part / whole < 0.1 ? 1 : 0)} %`;
}

export function duration(seconds: number | undefined): string {
  if (!seconds) return "–";
  const days = Math.floor(seconds / 86400);
  const hours = Math.floor((seconds % 86400) / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${Math.floor(seconds)} s`;
}

export function time(epoch: number | undefined): string {
  return epoch ? new Date(epoch * 1000).toLocaleString(locale(), { dateStyle: "short", timeStyle: "medium" }) : "";
}
