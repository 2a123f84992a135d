/** One storage: how full it is, what it holds, what comes in, and what belongs to nobody. */

import { Button, Progress, Tabs } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";

import { ask } from "../../api/client";
import { t } from "../../i18n";
import { bytes, percent } from "../../lib/format";
import { go, useDrawnPlace } from "../../lib/router";
import { type Resource, useAll } from "../../store/inventory";
import { AskButton } from "../../ui/confirm";
import { Changes } from "../history/changes";
import { Content, useAgain } from "./content";
import { EditStorage } from "./definition-form";
import { Incoming } from "./incoming";
import { Orphans } from "./orphans";
import { Space, useStatus, Warnings } from "./space";
import { Underway } from "./underway";

const VIEWS = ["content", "space", "orphans", "history"] as const;

export default function StoragePage(props: { storage: string }): ReactNode {
  const row = useAll().find((one) => one.type === "storage" && one.storage === props.storage);
  return row ? <Shown row={row} /> : <p className="hint">{t("storage.missing")}</p>;
}

function Shown(props: { row: Resource }): ReactNode {
  const { row } = props;
  const place = { node: row.node ?? "", storage: row.storage ?? "" };
  const view = useDrawnPlace().parts[2] ?? "content";
  const status = useStatus(place);
  const again = useAgain();
  const queries = useQueryClient();
  const [changing, setChanging] = useState(false);
  const close = (): void => {
    setChanging(false);
    void queries.invalidateQueries({ queryKey: ["storage", place] });
  };
  return (
    <section className="page">
      <header>
        <h2>{place.storage}</h2>
        <span className="hint">
          {t("storage.usedOf", { used: bytes(row.disk), all: bytes(row.maxdisk), part: percent(row.disk, row.maxdisk) })}
        </span>
        <Incoming place={place} allowed={row.content ?? ""} onDone={again} />
        <Button size="compact-sm" variant="default" onClick={() => setChanging(true)}>
          {t("storage.change")}
        </Button>
        <AskButton
          label={t("storage.forget")} onDone={() => go()}
          question={{
            title: t("storage.forgetTitle", { storage: place.storage }), loss: t("storage.forgetLoss"), yes: t("storage.forget"),
            act: () => ask("DELETE /storage/{storage}", { storage: place.storage }),
          }}
        />
      </header>
      <Progress value={row.maxdisk ? (100 * (row.disk ?? 0)) / row.maxdisk : 0} aria-label={t("storage.used")} />
      <Underway place={place} onDone={again} />
      <Warnings place={place} status={status} />
      <Tabs value={view} onChange={(next) => go("storage", place.storage, next ?? "content")}>
        <Tabs.List>
          {VIEWS.map((one) => (
            <Tabs.Tab key={one} value={one}>
              {t(`storage.view_${one}`)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
      </Tabs>
      <div className="page-body">
        {view === "content" && <Content place={place} />}
        {view === "space" && <Space row={row} status={status} />}
        {view === "orphans" && <Orphans place={place} />}
        {view === "history" && <Changes of={{ kind: "storage", name: place.storage }} />}
      </div>
      {changing && <EditStorage storage={place.storage} onClose={close} />}
    </section>
  );
}
