/** Grants: which role somebody has on a path. */

import { Button, Checkbox, Select, TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { ask } from "../../api/client";
import type { GrantRow } from "../../api/types";
import { t } from "../../i18n";
import { ActButton } from "../../ui/act";
import { FormDrawer } from "../../ui/form";
import { useList } from "../../ui/list";
import { Table } from "../../ui/table";

type Kind = GrantRow["type"];

export function Grants(): ReactNode {
  const { rows, again } = useList("GET /access/acl", {});
  const [adding, setAdding] = useState(false);
  return (
    <>
      <GrantTable rows={rows} again={again} />
      <p>
        <Button size="compact-sm" onClick={() => setAdding(true)}>
          {t("access.newGrant")}
        </Button>
      </p>
      {adding && <NewGrant path="/" onClose={() => { setAdding(false); again(); }} />}
    </>
  );
}

export function GrantTable(props: { rows: readonly GrantRow[]; again: () => void }): ReactNode {
  const take = async (grant: GrantRow): Promise<void> => {
    await ask("PUT /access/acl", { path: grant.path, roles: grant.roleid, ...to(grant.type, grant.ugid), delete: 1 });
    props.again();
  };
  return (
    <div className="scroll">
      <Table
        label={t("access.grants")} rows={props.rows} keyOf={(grant) => `${grant.path} ${grant.ugid} ${grant.roleid}`} empty={t("access.noGrants")}
        columns={[
          { title: t("access.path"), show: (grant) => grant.path },
          { title: t("access.to"), show: (grant) => `${t(`access.kind_${grant.type}`)} ${grant.ugid}` },
          { title: t("access.role"), show: (grant) => grant.roleid },
          { title: t("access.below"), show: (grant) => (grant.propagate ? t("common.yes") : t("common.no")) },
          { title: "", show: (grant) => <ActButton label={t("access.takeAway")} act={() => take(grant)} /> },
        ]}
      />
    </div>
  );
}

/** `path`: what stands in the form at first. */
export function NewGrant(props: { path: string; onClose: () => void }): ReactNode {
  const users = useList("GET /access/users", { full: 1 });
  const groups = useList("GET /access/groups", {});
  const roles = useList("GET /access/roles", {});
  const [form, setForm] = useState({ path: props.path, to: "", role: "", propagate: true });
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const submit = async (): Promise<void> => {
    const [kind = "user", name = ""] = form.to.split(" ", 2);
    await ask("PUT /access/acl", { path: form.path, roles: form.role, propagate: form.propagate, ...to(kind as Kind, name) });
  };
  const known = [
    ...users.rows.flatMap((user) => [
      { value: `user ${user.userid}`, label: user.userid },
      ...(user.tokens ?? []).map((token) => ({ value: `token ${user.userid}!${token.tokenid}`, label: `${user.userid}!${token.tokenid}` })),
    ]),
    ...groups.rows.map((group) => ({ value: `group ${group.groupid}`, label: `${t("access.kind_group")} ${group.groupid}` })),
  ];
  return (
    <FormDrawer title={t("access.newGrant")} submit={t("access.grantIt")} onSubmit={submit} onClose={props.onClose}>
      <TextInput label={t("access.path")} required value={form.path} onChange={(e) => set({ path: e.currentTarget.value })} description={t("access.pathHelp")} />
      <Select label={t("access.groupToo")} required searchable data={known} value={form.to || null} onChange={(chosen) => set({ to: chosen ?? "" })} />
      <Select label={t("access.role")} required searchable data={roles.rows.map((role) => role.roleid)} value={form.role || null} onChange={(role) => set({ role: role ?? "" })} />
      <Checkbox label={t("access.below")} checked={form.propagate} onChange={(e) => set({ propagate: e.currentTarget.checked })} />
    </FormDrawer>
  );
}

function to(kind: Kind, name: string): { users?: string; groups?: string; tokens?: string } {
  return kind === "user" ? { users: name } : kind === "group" ? { groups: name } : { tokens: name };
}
