/** One control for one declared value. */

import { Autocomplete, NumberInput, PasswordInput, Select, Textarea, TextInput } from "@mantine/core";
import type { ReactNode } from "react";

import { t } from "../../../i18n";
import { Said, saidText } from "../../../ui/said";
import type { Field } from "./option";

const LONG = new Set(["description", "sshkeys"]);

/** The text on the wire; empty is "not set". `label`: what it is called where its own name will not do. */
export function Control(props: {
  field: Field;
  value: string;
  onChange: (value: string) => void;
  label?: string;
  suggestions?: readonly string[];
  focus?: boolean;
}): ReactNode {
  const { field, value, onChange, suggestions } = props;
  const shown = {
    label: (props.label ?? field.name) + (field.unit ? ` (${field.unit})` : ""),
    description: <Said text={field.help} />,
    ...(props.focus ? { "data-autofocus": true } : {}),
  };
  const usual = field.default === undefined || field.default === "" ? "" : t("config.usual", { value: sayDefault(field) });
  const open = { size: "xs", comboboxProps: { withinPortal: true } } as const;
  if (field.kind === "boolean") {
    const words = [{ value: "1", label: t("common.yes") }, { value: "0", label: t("common.no") }];
    const known = field.required ? words : [{ value: "", label: usual || t("config.unset") }, ...words];
    return <Select {...shown} {...open} data={known} value={value} allowDeselect={false} onChange={(next) => onChange(next ?? "")} />;
  }
  if (field.choices) {
    const data = field.required ? [...field.choices] : [{ value: "", label: usual || t("config.unset") }, ...field.choices];
    return <Select {...shown} {...open} data={data} value={value} allowDeselect={false} onChange={(next) => onChange(next ?? "")} />;
  }
  if (field.kind === "integer" || field.kind === "number") {
    return (
      <NumberInput
        {...shown} size="xs" value={value === "" ? "" : Number(value)} placeholder={usual} allowDecimal={field.kind === "number"}
        {...(field.min === undefined ? {} : { min: field.min })} {...(field.max === undefined ? {} : { max: field.max })}
        onChange={(next) => onChange(String(next))}
      />
    );
  }
  if (field.secret) {
    return <PasswordInput {...shown} size="xs" value={value} autoComplete="new-password" onChange={(e) => onChange(e.currentTarget.value)} />;
  }
  if (LONG.has(field.name)) {
    return <Textarea {...shown} size="xs" autosize minRows={3} maxRows={12} value={value} onChange={(e) => onChange(e.currentTarget.value)} />;
  }
  if (suggestions) return <Autocomplete {...shown} {...open} data={[...suggestions]} value={value} placeholder={usual} onChange={onChange} />;
  return <TextInput {...shown} size="xs" value={value} placeholder={usual} onChange={(e) => onChange(e.currentTarget.value)} />;
}

function sayDefault(field: Field): string {
  if (typeof field.default === "boolean") return field.default ? t("common.yes") : t("common.no");
  return saidText(String(field.default));
}
