/** A new password, for oneself or for somebody else; who is not root gives the own one as well. */

import { PasswordInput } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { ask } from "../../api/client";
import { whoami } from "../../api/session";
import { t } from "../../i18n";
import { FormDrawer } from "../../ui/form";

export function NewPassword(props: { user: string; onClose: () => void }): ReactNode {
  const { user, onClose } = props;
  const [form, setForm] = useState({ password: "", own: "" });
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const submit = async (): Promise<void> => {
    await ask("PUT /access/password", { userid: user, password: form.password, "confirmation-password": form.own || undefined });
  };
  return (
    <FormDrawer title={t("access.setPasswordOf", { user })} submit={t("access.save")} onSubmit={submit} onClose={onClose}>
      <PasswordInput label={t("access.password")} required minLength={8} autoComplete="new-password" value={form.password} onChange={(e) => set({ password: e.currentTarget.value })} data-autofocus />
      {whoami() !== "root@pam" && (
        <PasswordInput label={t("access.yourPassword")} required autoComplete="current-password" value={form.own} onChange={(e) => set({ own: e.currentTarget.value })} />
      )}
    </FormDrawer>
  );
}
