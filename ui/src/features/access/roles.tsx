/** Roles: the platform's own, and those that somebody made. */

import { Button, Textarea, TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { ask } from "../../api/client";
import type { RoleRow } from "../../api/types";
import { t } from "../../i18n";
import { AskButton } from "../../ui/confirm";
import { FormDrawer } from "../../ui/form";
import { useList } from "../../ui/list";
import { Table } from "../../ui/table";
import { HistoryLink } from "../history/link";

export function Roles(): ReactNode {
  const { rows, again } = useList("GET /access/roles", {});
  const [edited, setEdited] = useState<RoleRow | "new" | null>(null);
  return (
    <>
      <p>
        <Button size="compact-sm" onClick={() => setEdited("new")}>
          {t("access.newRole")}
        </Button>
      </p>
      <Table
        label={t("access.roles")} rows={rows} keyOf={(role) => role.roleid} empty={t("access.noRoles")}
        columns={[
          { title: t("access.role"), show: (role) => role.roleid },
          { title: t("access.madeBy"), show: (role) => (role.special ? t("access.platform") : t("access.you")) },
          { title: t("access.privileges"), show: (role) => role.privs.replaceAll(",", ", ") },
          {
            title: "", show: (role) => !role.special && (
              <div className="row-actions">
                <Button size="compact-xs" variant="subtle" onClick={() => setEdited(role)}>
                  {t("access.edit")}
                </Button>
                <HistoryLink kind="role" name={role.roleid} />
                <AskButton
                  label={t("access.removeUser")} onDone={again}
                  question={{
                    title: t("access.removeRoleTitle", { name: role.roleid }), loss: t("access.removeRoleLoss"), yes: t("access.removeUser"),
                    act: () => ask("DELETE /access/roles/{roleid}", { roleid: role.roleid }),
                  }}
                />
              </div>
            ),
          },
        ]}
      />
      {edited && <Edit role={edited === "new" ? null : edited} onClose={() => { setEdited(null); again(); }} />}
    </>
  );
}

function Edit(props: { role: RoleRow | null; onClose: () => void }): ReactNode {
  const { role, onClose } = props;
  const [form, setForm] = useState({ roleid: role?.roleid ?? "", privs: role?.privs.replaceAll(",", " ") ?? "" });
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const submit = async (): Promise<void> => {
    const asked = { roleid: form.roleid, privs: form.privs.split(/[\s,]+/).filter(Boolean).join(",") };
    await (role ? ask("PUT /access/roles/{roleid}", asked) : ask("POST /access/roles", asked));
  };
  const title = role ? t("access.editRole", { name: role.roleid }) : t("access.newRole");
  return (
    <FormDrawer title={title} submit={role ? t("access.save") : t("access.makeRole")} onSubmit={submit} onClose={onClose}>
      {!role && <TextInput label={t("access.name")} required value={form.roleid} onChange={(e) => set({ roleid: e.currentTarget.value })} data-autofocus />}
      <Textarea label={t("access.privileges")} description={t("access.privilegesHelp")} autosize minRows={3} value={form.privs} onChange={(e) => set({ privs: e.currentTarget.value })} />
    </FormDrawer>
  );
}
