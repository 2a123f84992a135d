/** One pool: who is in it, putting in and taking out, and the grants on it. */

import { Button, Checkbox, Select } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { ask } from "../../api/client";
import type { PoolMember } from "../../api/types";
import { t } from "../../i18n";
import { href } from "../../lib/router";
import { titleOf, useAll } from "../../store/inventory";
import { ActButton } from "../../ui/act";
import { FormDrawer } from "../../ui/form";
import { useList } from "../../ui/list";
import { Table } from "../../ui/table";
import { HistoryLink } from "../history/link";
import { GrantTable, NewGrant } from "../access/grants";

export function Pool(props: { name: string }): ReactNode {
  const { name } = props;
  const found = useList("GET /pools", { poolid: name });
  const grants = useList("GET /access/acl", {});
  const [adding, setAdding] = useState(false);
  const [granting, setGranting] = useState(false);
  const members = found.rows[0]?.members ?? [];
  const path = `/pool/${name}`;
  const out = async (member: PoolMember): Promise<void> => {
    const what = member.vmid === undefined ? { storage: member.storage } : { vms: String(member.vmid) };
    await ask("PUT /pools", { poolid: name, delete: 1, ...what });
    found.again();
  };
  return (
    <>
      <h3>
        {t("pools.members", { name })} <HistoryLink kind="pool" name={name} />
      </h3>
      <Table
        label={t("pools.members", { name })} rows={members} keyOf={(member) => member.id} empty={t("pools.noMembers")}
        columns={[
          { title: t("pools.member"), show: (member) => <Member member={member} /> },
          { title: t("pools.kind"), show: (member) => (member.vmid === undefined ? t("pools.kind_storage") : t("pools.kind_qemu")) },
          { title: "", show: (member) => <ActButton label={t("pools.takeOut")} act={() => out(member)} /> },
        ]}
      />
      <p>
        <Button size="compact-sm" onClick={() => setAdding(true)}>
          {t("pools.putIn")}
        </Button>
      </p>
      <h3>{t("pools.grants", { name })}</h3>
      <GrantTable rows={grants.rows.filter((grant) => grant.path === path)} again={grants.again} />
      <p>
        <Button size="compact-sm" onClick={() => setGranting(true)}>
          {t("pools.grant")}
        </Button>
      </p>
      {adding && <PutIn pool={name} onClose={() => { setAdding(false); found.again(); }} />}
      {granting && <NewGrant path={path} onClose={() => { setGranting(false); grants.again(); }} />}
    </>
  );
}

function Member(props: { member: PoolMember }): ReactNode {
  const { member } = props;
  if (member.vmid === undefined) return <a href={href("storage", member.storage ?? "")}>{member.storage}</a>;
  return <a href={href("qemu", member.vmid)}>{`${member.vmid} (${member.name ?? ""})`}</a>;
}

function PutIn(props: { pool: string; onClose: () => void }): ReactNode {
  const all = useAll();
  const [form, setForm] = useState({ guest: "", storage: "", move: false });
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const submit = async (): Promise<void> => {
    await ask("PUT /pools", { poolid: props.pool, vms: form.guest || undefined, storage: form.storage || undefined, "allow-move": form.move });
  };
  const guests = all.filter((row) => row.vmid !== undefined).map((row) => ({ value: String(row.vmid), label: titleOf(row) }));
  const storages = [...new Set(all.filter((row) => row.type === "storage").map((row) => row.storage ?? ""))];
  return (
    <FormDrawer title={t("pools.putIn")} submit={t("pools.putIn")} onSubmit={submit} onClose={props.onClose}>
      <Select label={t("pools.guest")} searchable clearable limit={100} data={guests} value={form.guest || null} onChange={(guest) => set({ guest: guest ?? "" })} data-autofocus />
      <Checkbox label={t("pools.move")} checked={form.move} onChange={(e) => set({ move: e.currentTarget.checked })} />
      <Select label={t("pools.storage")} clearable data={storages} value={form.storage || null} onChange={(storage) => set({ storage: storage ?? "" })} />
    </FormDrawer>
  );
}
