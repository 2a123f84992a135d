/** Property strings (`virtio=BC:24:11:00:00:01,bridge=vmbr0`) as fields, and back. What is not understood is kept. */

import type { Field } from "./option";

export type Parts = Record<string, string>;

export function parse(text: string, fields: readonly Field[]): Parts {
  const bare = fields.find((field) => field.bare);
  const found: Parts = {};
  for (const part of text.split(",").map((one) => one.trim()).filter(Boolean)) {
    const equals = part.indexOf("=");
    const [key, value] = equals < 0 ? ["", part] : [part.slice(0, equals), part.slice(equals + 1)];
    const field = fields.find((one) => one.name === key || one.aliases?.includes(key));
    const words = fields.find((one) => one.keyAlias && one.choices?.includes(key));
    if (equals < 0) found[bare?.name ?? part] = value;
    else if (field) found[field.name] = value;
    else if (words) Object.assign(found, { [words.name]: key, [words.keyAlias ?? ""]: value });
    else found[key] = value;
  }
  return found;
}

/** The bare field comes first and without its name; empty fields are left out. */
export function print(parts: Parts, fields: readonly Field[]): string {
  const names = [...fields.map((field) => field.name), ...Object.keys(parts).filter((key) => !fields.some((f) => f.name === key))];
  const bare = fields.find((field) => field.bare)?.name;
  const words = names
    .filter((name) => parts[name] !== undefined && parts[name] !== "")
    .map((name) => (name === bare ? parts[name] : `${name}=${parts[name]}`));
  const first = bare !== undefined ? parts[bare] : undefined;
  return (first ? [first, ...words.filter((word) => word !== first)] : words).join(",");
}
