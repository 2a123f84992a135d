/** The form of a new target: what it asks depends on the kind. */

import { PasswordInput, Select, Textarea, TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { ask } from "../../api/client";
import { t } from "../../i18n";
import { FormDrawer } from "../../ui/form";

export const KINDS = ["sendmail", "smtp", "gotify", "webhook"] as const;
export type Kind = (typeof KINDS)[number];

const EMPTY = {
  kind: "sendmail" as Kind, name: "", comment: "", mailto: "", from: "", server: "", mode: "tls" as "tls" | "starttls" | "insecure",
  username: "", password: "", token: "", url: "", method: "post" as "post" | "put" | "get", body: '{"text": "{{ escape title }}: {{ escape message }}"}', allowed: "",
};
type Form = typeof EMPTY;

export function NewTarget(props: { onClose: () => void }): ReactNode {
  const [form, setForm] = useState(EMPTY);
  const set = (change: Partial<Form>): void => setForm((old) => ({ ...old, ...change }));
  const field = (key: "name" | "comment" | "from" | "server" | "username" | "url", label: string, required = false): ReactNode => (
    <TextInput label={label} required={required} value={form[key]} onChange={(e) => set({ [key]: e.currentTarget.value })} />
  );
  const { kind } = form;
  return (
    <FormDrawer title={t("notifications.newTarget")} submit={t("notifications.makeTarget")} onSubmit={() => make(form)} onClose={props.onClose}>
      <Select
        label={t("notifications.kind")} value={kind} allowDeselect={false} onChange={(value) => set({ kind: value as Kind })}
        data={KINDS.map((one) => ({ value: one, label: t(`notifications.kind_${one}`) }))} data-autofocus
      />
      {field("name", t("notifications.name"), true)}
      {(kind === "smtp" || kind === "gotify") && field("server", t("notifications.server"), true)}
      {kind === "webhook" && field("url", t("notifications.url"), true)}
      {(kind === "sendmail" || kind === "smtp") && (
        <>
          <TextInput label={t("notifications.mailto")} required description={t("notifications.list")} value={form.mailto} onChange={(e) => set({ mailto: e.currentTarget.value })} />
          {field("from", t("notifications.from"), kind === "smtp")}
        </>
      )}
      {kind === "smtp" && (
        <>
          <Select label={t("notifications.mode")} data={["tls", "starttls", "insecure"]} value={form.mode} allowDeselect={false} onChange={(mode) => set({ mode: mode as Form["mode"] })} />
          {field("username", t("notifications.username"))}
          <PasswordInput label={t("notifications.password")} autoComplete="off" value={form.password} onChange={(e) => set({ password: e.currentTarget.value })} />
        </>
      )}
      {kind === "gotify" && <PasswordInput label={t("notifications.token")} required autoComplete="off" value={form.token} onChange={(e) => set({ token: e.currentTarget.value })} />}
      {kind === "webhook" && (
        <>
          <Select label={t("notifications.method")} data={["post", "put", "get"]} value={form.method} allowDeselect={false} onChange={(method) => set({ method: method as Form["method"] })} />
          <Textarea
            label={t("notifications.body")} description={t("notifications.bodyHelp", { opening: "{{", closing: "}}" })} autosize minRows={3}
            value={form.body} onChange={(e) => set({ body: e.currentTarget.value })}
          />
        </>
      )}
      {(kind === "gotify" || kind === "webhook") && (
        <TextInput label={t("notifications.allowed")} description={t("notifications.list")} value={form.allowed} onChange={(e) => set({ allowed: e.currentTarget.value })} />
      )}
      {field("comment", t("notifications.comment"))}
    </FormDrawer>
  );
}

async function make(form: Form): Promise<void> {
  const { name, server } = form;
  const comment = form.comment || undefined;
  const allowed = { "allowed-hosts": words(form.allowed) };
  if (form.kind === "sendmail") {
    await ask("POST /cluster/notifications/endpoints/sendmail", { name, comment, mailto: words(form.mailto), "from-address": form.from || undefined });
  } else if (form.kind === "smtp") {
    const login = form.username ? { username: form.username, password: form.password } : {};
    await ask("POST /cluster/notifications/endpoints/smtp", { name, comment, server, mode: form.mode, mailto: words(form.mailto), "from-address": form.from, ...login });
  } else if (form.kind === "gotify") {
    await ask("POST /cluster/notifications/endpoints/gotify", { name, comment, server, token: form.token, ...allowed });
  } else {
    await ask("POST /cluster/notifications/endpoints/webhook", { name, comment, url: form.url, method: form.method, body: form.body ? base64(form.body) : undefined, ...allowed });
  }
}

function words(text: string): string[] {
  return text.split(/[\s,]+/).filter(Boolean);
}

/** The API takes bodies so. */
function base64(text: string): string {
  return btoa(String.fromCodePoint(...new TextEncoder().encode(text)));
}
