/** The form of a new realm: what it asks depends on the kind. */

import { Checkbox, PasswordInput, Select, TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { ask } from "../../api/client";
import { t } from "../../i18n";
import { FormDrawer } from "../../ui/form";

export const KINDS = ["openid", "ldap", "ad"] as const;
const MODES = ["ldap", "ldap+starttls", "ldaps"] as const;
type Kind = (typeof KINDS)[number];

const EMPTY = {
  type: "openid" as Kind, realm: "", comment: "", issuer: "", client: "", key: "", autocreate: true, server: "", base: "", attribute: "uid",
  domain: "", bind: "", password: "", mode: "ldaps" as (typeof MODES)[number],
};
type Form = typeof EMPTY;

export function NewRealm(props: { onClose: () => void }): ReactNode {
  const [form, setForm] = useState(EMPTY);
  const set = (change: Partial<Form>): void => setForm((old) => ({ ...old, ...change }));
  const field = (key: "realm" | "comment" | "issuer" | "client" | "server" | "base" | "attribute" | "domain" | "bind", label: string, required = false): ReactNode => (
    <TextInput label={label} required={required} value={form[key]} onChange={(e) => set({ [key]: e.currentTarget.value })} />
  );
  const secret = (key: "key" | "password", label: string): ReactNode => (
    <PasswordInput label={label} autoComplete="off" value={form[key]} onChange={(e) => set({ [key]: e.currentTarget.value })} />
  );
  return (
    <FormDrawer title={t("access.newRealm")} submit={t("access.makeRealm")} onSubmit={() => make(form)} onClose={props.onClose}>
      <Select
        label={t("access.kind")} value={form.type} allowDeselect={false} onChange={(type) => set({ type: type as Kind })}
        data={KINDS.map((one) => ({ value: one, label: t(`access.realm_${one}`) }))} data-autofocus
      />
      {field("realm", t("access.name"), true)}
      {form.type === "openid" ? (
        <>
          {field("issuer", t("access.issuer"), true)}
          {field("client", t("access.client"), true)}
          {secret("key", t("access.clientKey"))}
          <Checkbox label={t("access.autocreate")} checked={form.autocreate} onChange={(e) => set({ autocreate: e.currentTarget.checked })} />
        </>
      ) : (
        <>
          {field("server", t("access.server"), true)}
          <Select label={t("access.mode")} data={MODES} value={form.mode} allowDeselect={false} onChange={(mode) => set({ mode: mode as Form["mode"] })} />
          {form.type === "ad" && field("domain", t("access.domain"), true)}
          {field("base", t("access.base"), form.type === "ldap")}
          {form.type === "ldap" && field("attribute", t("access.attribute"), true)}
          {field("bind", t("access.bind"))}
          {secret("password", t("access.bindPassword"))}
        </>
      )}
      {field("comment", t("access.comment"))}
    </FormDrawer>
  );
}

async function make(form: Form): Promise<void> {
  const common = { realm: form.realm, type: form.type, comment: form.comment || undefined };
  const connection = { server1: form.server, mode: form.mode, base_dn: form.base || undefined, bind_dn: form.bind || undefined, password: form.password || undefined };
  const own = {
    openid: { "issuer-url": form.issuer, "client-id": form.client, "client-key": form.key || undefined, autocreate: form.autocreate },
    ldap: { ...connection, user_attr: form.attribute },
    ad: { ...connection, domain: form.domain },
  }[form.type];
  await ask("POST /access/domains", { ...common, ...own });
}
