/** Users: made, changed, given a password, removed; and their tokens. */

import { Button, Checkbox, Drawer, PasswordInput, TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { ask } from "../../api/client";
import type { UserRow } from "../../api/types";
import { t } from "../../i18n";
import { AskButton } from "../../ui/confirm";
import { FormDrawer } from "../../ui/form";
import { useList } from "../../ui/list";
import { Table } from "../../ui/table";
import { HistoryLink } from "../history/link";
import { NewPassword } from "./password";
import { NewToken, Tokens } from "./tokens";

type Open = { what: "new" } | { what: "edit" | "token" | "tokens" | "password"; user: UserRow } | null;

export function Users(): ReactNode {
  const { rows, again } = useList("GET /access/users", { full: 1 });
  const [open, setOpen] = useState<Open>(null);
  const close = (): void => {
    setOpen(null);
    again();
  };
  const button = (what: "edit" | "token" | "password", user: UserRow, label: string): ReactNode => (
    <Button size="compact-xs" variant="subtle" onClick={() => setOpen({ what, user })}>
      {label}
    </Button>
  );
  return (
    <div className="scroll">
      <Table
        label={t("access.users")} rows={rows} keyOf={(user) => user.userid} empty={t("access.noUsers")}
        columns={[
          { title: t("access.user"), show: (user) => user.userid },
          { title: t("access.comment"), show: (user) => user.comment },
          { title: t("access.groups"), show: (user) => user.groups },
          { title: t("access.state"), show: (user) => (user.enable === 0 ? t("access.disabled") : t("access.enabled")) },
          {
            title: t("access.tokens"), show: (user) => !!user.tokens?.length && (
              <Button size="compact-xs" variant="subtle" onClick={() => setOpen({ what: "tokens", user })}>
                {user.tokens.map((token) => token.tokenid).join(", ")}
              </Button>
            ),
          },
          {
            title: "", show: (user) => (
              <div className="row-actions">
                {button("edit", user, t("access.edit"))}
                {button("password", user, t("access.setPassword"))}
                {button("token", user, t("access.newToken"))}
                <HistoryLink kind="user" name={user.userid} />
                <AskButton
                  label={t("access.removeUser")} onDone={again}
                  question={{
                    title: t("access.removeUserTitle", { user: user.userid }), loss: t("access.removeUserLoss"), yes: t("access.removeUser"),
                    act: () => ask("DELETE /access/users/{userid}", { userid: user.userid }),
                  }}
                />
              </div>
            ),
          },
        ]}
      />
      <p>
        <Button size="compact-sm" onClick={() => setOpen({ what: "new" })}>
          {t("access.newUser")}
        </Button>
      </p>
      {open?.what === "new" && <NewUser onClose={close} />}
      {open?.what === "edit" && <EditUser user={open.user} onClose={close} />}
      {open?.what === "token" && <NewToken user={open.user.userid} onClose={close} />}
      {open?.what === "password" && <NewPassword user={open.user.userid} onClose={close} />}
      <Drawer opened={open?.what === "tokens"} onClose={close} position="right" size="lg" title={open?.what === "tokens" && t("access.tokensOf", { user: open.user.userid })}>
        {open?.what === "tokens" && <Tokens user={open.user.userid} />}
      </Drawer>
    </div>
  );
}

function NewUser(props: { onClose: () => void }): ReactNode {
  const [form, setForm] = useState({ userid: "", password: "", comment: "" });
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const submit = async (): Promise<void> => {
    const userid = form.userid.includes("@") ? form.userid : `${form.userid}@pve`;
    await ask("POST /access/users", { ...form, userid, comment: form.comment || undefined });
  };
  return (
    <FormDrawer title={t("access.newUser")} submit={t("access.makeUser")} onSubmit={submit} onClose={props.onClose}>
      <TextInput label={t("access.name")} required value={form.userid} onChange={(e) => set({ userid: e.currentTarget.value })} description={t("access.nameHelp")} data-autofocus />
      <PasswordInput label={t("access.password")} required autoComplete="new-password" value={form.password} onChange={(e) => set({ password: e.currentTarget.value })} />
      <TextInput label={t("access.comment")} value={form.comment} onChange={(e) => set({ comment: e.currentTarget.value })} />
    </FormDrawer>
  );
}

function EditUser(props: { user: UserRow; onClose: () => void }): ReactNode {
  const { user, onClose } = props;
  const [form, setForm] = useState({ comment: user.comment ?? "", email: user.email ?? "", groups: user.groups ?? "", enable: user.enable !== 0 });
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const submit = async (): Promise<void> => {
    await ask("PUT /access/users/{userid}", { userid: user.userid, ...form });
  };
  return (
    <FormDrawer title={t("access.editUser", { user: user.userid })} submit={t("access.save")} onSubmit={submit} onClose={onClose}>
      <TextInput label={t("access.comment")} value={form.comment} onChange={(e) => set({ comment: e.currentTarget.value })} data-autofocus />
      <TextInput label={t("access.email")} value={form.email} onChange={(e) => set({ email: e.currentTarget.value })} />
      <TextInput label={t("access.groups")} value={form.groups} onChange={(e) => set({ groups: e.currentTarget.value })} />
      <Checkbox label={t("access.mayLogIn")} checked={form.enable} onChange={(e) => set({ enable: e.currentTarget.checked })} />
    </FormDrawer>
  );
}
