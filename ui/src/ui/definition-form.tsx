/** The form of a definition: of a new one, or of one that is there, with its present values and without its secrets. */

import { Checkbox, Drawer, MultiSelect, NumberInput, PasswordInput, Select, Textarea, TextInput } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";

import { problemFrom } from "../actions/run";
import { t } from "../i18n";
import { type Asked, beforeOf, shownOf, type Values, type Wish, wishOf } from "./definition";
import { FormDrawer } from "./form";
import { ProblemPanel } from "./problem";

type Record_ = Readonly<Record<string, unknown>>;

interface Common {
  title: string;
  submit: string;
  /** The fields, by what is in them so far. */
  asked: (values: Values) => readonly Asked[];
  onClose: () => void;
}

export function NewDefinition(props: Common & { send: (wish: Wish) => Promise<unknown>; first?: Values }): ReactNode {
  return <Form {...props} record={null} send={(wish) => props.send(wish)} />;
}

/** `load` answers the record with its `digest`, `send` gets that digest back: what others changed meanwhile is not lost. */
export function EditDefinition(
  props: Common & { id: readonly string[]; load: () => Promise<Record_>; send: (wish: Wish, digest: string | undefined) => Promise<unknown> },
): ReactNode {
  const { id, load, title, onClose } = props;
  const queries = useQueryClient();
  const found = useQuery({ queryKey: ["definition", ...id], queryFn: load, gcTime: 0, staleTime: Infinity });
  const done = (): void => {
    void queries.invalidateQueries({ queryKey: ["definition", ...id] });
    onClose();
  };
  if (found.error) {
    return (
      <Drawer opened onClose={onClose} position="right" size="md" title={title}>
        <ProblemPanel problem={problemFrom(found.error, title)} />
      </Drawer>
    );
  }
  return found.data ? <Form {...props} onClose={done} record={found.data} /> : null;
}

function Form(props: Common & { record: Record_ | null; first?: Values; send: (wish: Wish, digest: string | undefined) => Promise<unknown> }): ReactNode {
  const { title, submit, asked, record, onClose, send } = props;
  const [touched, setTouched] = useState<Values>(props.first ?? {});
  const shown = (field: Asked): string => touched[field.key] ?? (record ? shownOf(field, record) : (field.initial ?? ""));
  const told = { ...texts(record), ...touched };
  const fields = asked(told);
  const values = Object.fromEntries(fields.map((field) => [field.key, shown(field)]));
  const before = record && beforeOf(fields, record);
  const wish = wishOf(fields, before, values);
  const changed = !record || Object.keys(wish.set).length > 0 || wish.gone.length > 0;
  const put = (key: string, text: string): void => setTouched((old) => ({ ...old, [key]: text }));
  const offered = fields.filter((field) => !record || !field.fixed);
  const control = (field: Asked): ReactNode => <Control key={field.key} field={field} value={shown(field)} there={record !== null} onChange={(text) => put(field.key, text)} />;
  const rest = offered.filter((field) => field.more);
  return (
    <FormDrawer
      title={title} submit={submit} disabled={!changed} onClose={onClose}
      onSubmit={async () => void (await send(wish, record ? (record["digest"] as string | undefined) : undefined))}
    >
      {offered.filter((field) => !field.more).map(control)}
      {rest.length > 0 && (
        <details>
          <summary>{t("config.allElse")}</summary>
          <div className="form">{rest.map(control)}</div>
        </details>
      )}
    </FormDrawer>
  );
}

function texts(record: Record_ | null): Values {
  return Object.fromEntries(Object.entries(record ?? {}).filter(([, value]) => typeof value !== "object").map(([key, value]) => [key, String(value)]));
}

function Control(props: { field: Asked; value: string; there: boolean; onChange: (text: string) => void }): ReactNode {
  const { field, value, there, onChange } = props;
  const secret = field.kind === "secret";
  const common = { label: field.label, required: (field.required ?? false) && !(secret && there), ...(field.help ? { description: field.help } : {}) };
  const typed = { ...common, value, onChange: (event: { currentTarget: { value: string } }) => onChange(event.currentTarget.value) };
  switch (field.kind) {
    case "flag": return <Checkbox label={field.label} {...(field.help ? { description: field.help } : {})} checked={value === "1"} onChange={(e) => onChange(e.currentTarget.checked ? "1" : "0")} />;
    case "secret": return <PasswordInput {...typed} autoComplete="new-password" placeholder={there ? t("common.keptSecret") : ""} />;
    case "number": return <NumberInput {...common} min={0} value={value === "" ? "" : Number(value)} onChange={(next) => onChange(String(next))} />;
    case "choice": return <Select {...common} data={field.choices ?? []} value={value || null} clearable={!field.required && field.initial === undefined} allowDeselect={false} onChange={(next) => onChange(next ?? "")} />;
    case "choices": return <MultiSelect {...common} searchable data={field.choices ?? []} value={value.split(",").filter(Boolean)} onChange={(next) => onChange(next.join(","))} />;
    case "lines": case "base64": case "headers": case "secrets": return <Textarea {...typed} autosize minRows={2} maxRows={14} />;
    default: return <TextInput {...typed} />;
  }
}
