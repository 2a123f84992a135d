/** One storage: how full it is, what it holds, what comes in, and what belongs to nobody. */

import { Progress, Tabs } from "@mantine/core";
import type { ReactNode } from "react";

import { t } from "../../i18n";
import { bytes, percent } from "../../lib/format";
import { go, usePlace } from "../../lib/router";
import { type Resource, useAll } from "../../store/inventory";
import { Changes } from "../history/changes";
import { Content, useAgain } from "./content";
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
  const view = usePlace().parts[2] ?? "content";
  const status = useStatus(place);
  const again = useAgain();
  return (
    <section className="page">
      <header>
        <h2>{place.storage}</h2>
        <span className="hint">
          {t("storage.usedOf", { used: bytes(row.disk), all: bytes(row.maxdisk), part: percent(row.disk, row.maxdisk) })}
        </span>
        <Incoming place={place} allowed={row.content ?? ""} onDone={again} />
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
        {view === "space" && <Space row={row} place={place} status={status} />}
        {view === "orphans" && <Orphans place={place} />}
        {view === "history" && <Changes of={{ kind: "storage", name: place.storage }} />}
      </div>
    </section>
  );
}
