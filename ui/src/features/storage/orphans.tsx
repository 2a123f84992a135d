/** Images that belong to nobody, with why they count as such; removed one by one, or those that are chosen. */

import { Button, Checkbox } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { t } from "../../i18n";
import { bytes, time } from "../../lib/format";
import { Confirm } from "../../ui/confirm";
import { useList } from "../../ui/list";
import { Table } from "../../ui/table";
import { type Place, removeVolume } from "./content";

export function Orphans(props: { place: Place }): ReactNode {
  const { place } = props;
  const { rows, again, loaded } = useList("GET /nodes/{node}/storage/{storage}/orphans", place);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [asked, setAsked] = useState(false);
  const marked = rows.filter((row) => chosen.has(row.volid));
  const turn = (volid: string): void => {
    const next = new Set(chosen);
    if (!next.delete(volid)) next.add(volid);
    setChosen(next);
  };
  const remove = async (): Promise<void> => {
    for (const row of marked) await removeVolume(place, row.volid);
  };
  const close = (): void => {
    setAsked(false);
    again();
  };
  if (!loaded) return null;
  return (
    <>
      <p className="hint">{t("storage.orphansHelp")}</p>
      <div className="scroll">
        <Table
          label={t("storage.view_orphans")} rows={rows} keyOf={(row) => row.volid} empty={t("storage.noOrphans")}
          columns={[
            { title: "", show: (row) => <Checkbox checked={chosen.has(row.volid)} onChange={() => turn(row.volid)} aria-label={t("storage.choose", { volume: row.volid })} /> },
            { title: t("storage.volume"), show: (row) => row.volid },
            { title: t("storage.size"), show: (row) => bytes(row.used ?? row.size) },
            { title: t("storage.made"), show: (row) => time(row.ctime) },
            { title: t("storage.reason"), show: (row) => row.reason },
          ]}
        />
      </div>
      {!!rows.length && (
        <p className="row-actions">
          <Button size="compact-sm" variant="default" onClick={() => setChosen(new Set(rows.map((row) => row.volid)))}>
            {t("storage.chooseAll")}
          </Button>
          <Button size="compact-sm" color="red" disabled={!marked.length} onClick={() => setAsked(true)}>
            {t("storage.removeChosen", { n: marked.length })}
          </Button>
        </p>
      )}
      {asked && (
        <Confirm
          question={{
            title: t("storage.removeChosen", { n: marked.length }), loss: `${marked.map((row) => row.volid).join(", ")}. ${t("storage.deleteLoss")}`,
            yes: t("storage.delete"), act: remove,
          }}
          onClose={close}
        />
      )}
    </>
  );
}
