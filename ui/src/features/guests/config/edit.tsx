/** The form of one key: its value, or the fields of its property string, the usual ones first. */

import { Group, TagsInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";

import { call } from "../../../api/client";
import { t } from "../../../i18n";
import { ChangeForm } from "./change";
import { BootOrder } from "./boot";
import { Control } from "./field";
import { DISKS, type Field, find, titleOf } from "./option";
import { type Parts, parse, print } from "./property";
import type { Config, Wish } from "./use";

/** The fields that are shown at once; the others are folded away. */
const USUAL: Record<string, readonly string[]> = {
  ...Object.fromEntries(DISKS.map((bus) => [bus, ["cache", "discard", "iothread", "ssd", "ro", "backup"]])),
  net: ["model", "bridge", "macaddr", "link_down", "forward"],
  cpu: ["cputype", "flags"],
};
/** Set by other means: the volume of a disk is moved, grown or detached. */
const ELSEWHERE = new Set(["file", "size", "format", "import-from", "media"]);

export function EditKey(props: { path: string; node: string; name: string; config: Config; onClose: () => void }): ReactNode {
  const { path, node, name, config, onClose } = props;
  const row = config.rows.get(name);
  const known = find(name);
  const hidden = known?.option.secret || row?.delete;
  const [before] = useState(() => String((hidden ? undefined : (row?.pending ?? row?.value)) ?? ""));
  const [text, setText] = useState(before);
  if (!known) return null;
  const wish = wishOf(name, before, text);
  return (
    <ChangeForm title={titleOf(name)} path={path} config={config} wish={wish} onClose={onClose}>
      <ValueControl node={node} name={name} value={text} onChange={setText} config={config} />
    </ChangeForm>
  );
}

export function wishOf(name: string, before: string, after: string): Wish | null {
  if (before === after) return null;
  return after === "" ? { set: {}, delete: [name] } : { set: { [name]: after } };
}

export function ValueControl(props: {
  node: string;
  name: string;
  value: string;
  onChange: (text: string) => void;
  config: Config;
}): ReactNode {
  const { name, node, value, onChange, config } = props;
  const option = find(name)?.option;
  if (!option) return null;
  if (name === "boot") return <BootOrder value={value} onChange={onChange} keys={[...config.rows.keys()]} />;
  if (name === "tags") {
    const tags = value.split(/[;, ]/).filter(Boolean);
    return <TagsInput size="xs" label={titleOf(name)} value={tags} splitChars={[",", ";", " "]} onChange={(next) => onChange(next.join(";"))} />;
  }
  if (name === "sshkeys") {
    return <Control field={option} label={titleOf(name)} value={decodeURIComponent(value)} onChange={(next) => onChange(encodeURIComponent(next))} focus />;
  }
  if (option.fields) return <PartsControl node={node} option={option.name} fields={option.fields} value={value} onChange={onChange} />;
  return <Control field={option} label={titleOf(name)} value={value} onChange={onChange} focus />;
}

export function PartsControl(props: {
  node: string;
  option: string;
  fields: readonly Field[];
  value: string;
  onChange: (text: string) => void;
}): ReactNode {
  const { node, option, fields, value, onChange } = props;
  const parts = parse(value, fields);
  const put = (name: string, next: string): void => onChange(print({ ...parts, [name]: next } satisfies Parts, fields));
  const shown = fields.filter((field) => !ELSEWHERE.has(field.name));
  const usual = USUAL[option];
  const first = usual ? shown.filter((field) => usual.includes(field.name)) : shown;
  const rest = shown.filter((field) => !first.includes(field));
  const control = (field: Field): ReactNode => (
    <PartControl key={field.name} node={node} option={option} field={field} value={parts[field.name] ?? ""} onChange={(next) => put(field.name, next)} />
  );
  return (
    <>
      <div className="fields">{first.map(control)}</div>
      {rest.length > 0 && (
        <details>
          <summary>{t("config.allElse")}</summary>
          <div className="fields">{rest.map(control)}</div>
        </details>
      )}
    </>
  );
}

function PartControl(props: { node: string; option: string; field: Field; value: string; onChange: (text: string) => void }): ReactNode {
  const { node, option, field, value, onChange } = props;
  const models = useQuery({
    queryKey: ["cpus", node], enabled: field.format === "cpu-model", staleTime: Infinity,
    queryFn: () => call<{ name: string }[]>("GET", `/nodes/${node}/capabilities/qemu/cpu`),
  });
  const suggestions = field.format === "cpu-model" ? (models.data ?? []).map((model) => model.name) : undefined;
  const alone = field.name === "current" || field.name === "enabled";
  return (
    <Group className="field">
      <Control
        field={field} value={value} onChange={onChange} {...(suggestions ? { suggestions } : {})}
        {...(alone ? { label: titleOf(option) } : {})}
      />
    </Group>
  );
}
