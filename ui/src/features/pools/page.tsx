/** Pools: guests and storages that are granted together, their members, and what is granted on them. */

import { Button, TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { ask } from "../../api/client";
import { t } from "../../i18n";
import { href, useDrawnPlace } from "../../lib/router";
import { AskButton } from "../../ui/confirm";
import { FormDrawer } from "../../ui/form";
import { useList } from "../../ui/list";
import { Table } from "../../ui/table";
import { Pool } from "./pool";

export default function PoolsPage(): ReactNode {
  const chosen = useDrawnPlace().parts[1];
  const { rows, again, loaded } = useList("GET /pools", {});
  const [adding, setAdding] = useState(false);
  const known = rows.some((pool) => pool.poolid === chosen);
  return (
    <section className="page">
      <header>
        <h2>{t("pools.title")}</h2>
        <Button size="compact-sm" onClick={() => setAdding(true)}>
          {t("pools.new")}
        </Button>
      </header>
      <div className="page-body">
        <p className="hint">{t("pools.help")}</p>
        <Table
          label={t("pools.title")} rows={rows} keyOf={(pool) => pool.poolid} empty={t("pools.none")}
          columns={[
            { title: t("pools.name"), show: (pool) => <a href={href("pools", pool.poolid)}>{pool.poolid}</a> },
            { title: t("pools.comment"), show: (pool) => pool.comment },
            {
              title: "", show: ({ poolid }) => (
                <AskButton
                  label={t("pools.remove")} onDone={again}
                  question={{
                    title: t("pools.removeTitle", { name: poolid }), loss: t("pools.removeLoss"), yes: t("pools.remove"),
                    act: () => ask("DELETE /pools", { poolid }),
                  }}
                />
              ),
            },
          ]}
        />
        {chosen && known && <Pool key={chosen} name={chosen} />}
        {chosen && loaded && !known && <p className="hint">{t("pools.missing")}</p>}
      </div>
      {adding && <NewPool onClose={() => { setAdding(false); again(); }} />}
    </section>
  );
}

function NewPool(props: { onClose: () => void }): ReactNode {
  const [form, setForm] = useState({ poolid: "", comment: "" });
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const submit = async (): Promise<void> => {
    await ask("POST /pools", { poolid: form.poolid, comment: form.comment || undefined });
  };
  return (
    <FormDrawer title={t("pools.new")} submit={t("pools.make")} onSubmit={submit} onClose={props.onClose}>
      <TextInput label={t("pools.name")} required value={form.poolid} onChange={(e) => set({ poolid: e.currentTarget.value })} description={t("pools.nameHelp")} data-autofocus />
      <TextInput label={t("pools.comment")} value={form.comment} onChange={(e) => set({ comment: e.currentTarget.value })} />
    </FormDrawer>
  );
}
