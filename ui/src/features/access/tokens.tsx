/** A user's API tokens: made, with the secret shown once, and revoked. */

import { Button, Checkbox, Code, Modal, TextInput } from "@mantine/core";
import { type ReactNode, useRef, useState } from "react";

import { ask } from "../../api/client";
import { t } from "../../i18n";
import { time } from "../../lib/format";
import { AskButton } from "../../ui/confirm";
import { FormDrawer } from "../../ui/form";
import { useList } from "../../ui/list";
import { Table } from "../../ui/table";

export function Tokens(props: { user: string }): ReactNode {
  const { user } = props;
  const { rows, again } = useList("GET /access/users/{userid}/token", { userid: user });
  const [adding, setAdding] = useState(false);
  return (
    <>
      <Table
        label={t("access.tokensOf", { user })} rows={rows} keyOf={(token) => token.tokenid} empty={t("access.noTokens")}
        columns={[
          { title: t("access.name"), show: (token) => token.tokenid },
          { title: t("access.privileges"), show: (token) => (token.privsep ? t("access.separate") : t("access.asUser")) },
          { title: t("access.expires"), show: (token) => time(token.expire) || t("access.never") },
          { title: t("access.comment"), show: (token) => token.comment },
          {
            title: "", show: ({ tokenid }) => (
              <AskButton
                label={t("access.revoke")} onDone={again}
                question={{
                  title: t("access.revokeTitle", { token: `${user}!${tokenid}` }), loss: t("access.revokeLoss"), yes: t("access.revoke"),
                  act: () => ask("DELETE /access/users/{userid}/token/{tokenid}", { userid: user, tokenid }),
                }}
              />
            ),
          },
        ]}
      />
      <p>
        <Button size="compact-sm" onClick={() => setAdding(true)}>
          {t("access.newToken")}
        </Button>
      </p>
      {adding && <NewToken user={user} onClose={() => { setAdding(false); again(); }} />}
    </>
  );
}

export function NewToken(props: { user: string; onClose: () => void }): ReactNode {
  const [form, setForm] = useState({ name: "", comment: "", privsep: true });
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const [made, setMade] = useState<{ "full-tokenid": string; value: string } | null>(null);
  const shown = useRef(false); // the form closes after it was sent: then the secret is to be read
  if (made) {
    return (
      <Modal opened onClose={props.onClose} title={t("access.theToken")} centered>
        <p>{t("access.secretOnce")}</p>
        <Code block>{`${made["full-tokenid"]}=${made.value}`}</Code>
      </Modal>
    );
  }
  const submit = async (): Promise<void> => {
    const { name: tokenid, comment, privsep } = form;
    setMade(await ask("POST /access/users/{userid}/token/{tokenid}", { userid: props.user, tokenid, privsep, comment: comment || undefined }));
    shown.current = true;
  };
  return (
    <FormDrawer title={t("access.newTokenOf", { user: props.user })} submit={t("access.makeToken")} onSubmit={submit} onClose={() => shown.current || props.onClose()}>
      <TextInput label={t("access.name")} required value={form.name} onChange={(e) => set({ name: e.currentTarget.value })} data-autofocus />
      <TextInput label={t("access.comment")} value={form.comment} onChange={(e) => set({ comment: e.currentTarget.value })} />
      <Checkbox label={t("access.privsep")} checked={form.privsep} onChange={(e) => set({ privsep: e.currentTarget.checked })} />
    </FormDrawer>
  );
}
