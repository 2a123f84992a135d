/** A field of a stored record as people read it: lists of words, and records as JSON where nothing shorter tells it. */

export function textOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (Array.isArray(value)) return value.every((one) => typeof one !== "object") ? value.join(", ") : JSON.stringify(value);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
