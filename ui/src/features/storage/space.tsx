/** How long a storage lasts: its reserve, what is promised, the forecast, and what to heed; and its figures. */

import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";

import { ask } from "../../api/client";
import type { StorageStatus } from "../../api/types";
import { t } from "../../i18n";
import { bytes, duration, percent } from "../../lib/format";
import { href } from "../../lib/router";
import { useFollowing } from "../../store/following";
import type { Resource } from "../../store/inventory";
import { Fact } from "../../ui/facts";
import { saidText } from "../../ui/said";
import FiguresPanel from "../figures/panel";
import type { Place } from "./content";

export function useStatus(place: Place): StorageStatus | undefined {
  useFollowing(["storage", place], [`storage/${place.node}/${place.storage}`], 3000);
  return useQuery({ queryKey: ["storage", place], queryFn: () => ask("GET /nodes/{node}/storage/{storage}/status", place) }).data;
}

/** What somebody should heed, on every view of the storage. */
export function Warnings(props: { place: Place; status: StorageStatus | undefined }): ReactNode {
  const { place, status } = props;
  if (!status) return null;
  return (
    <>
      {!!status.stale && (
        <p className="warning" role="status">
          ▲ {t("storage.stale", { age: duration(status.age) })} {status.problem}
        </p>
      )}
      {!status.stale && status.problem && (
        <p className="warning" role="status">
          ✕ {status.problem}
        </p>
      )}
      {status.warning && (
        <p className="warning" role="status">
          ▲ {t("storage.low", { warning: saidText(status.warning) })} <a href={href("storage", place.storage, "orphans")}>{t("storage.view_orphans")}</a>
        </p>
      )}
    </>
  );
}

export function Space(props: { row: Resource; status: StorageStatus | undefined }): ReactNode {
  const { row, status } = props;
  if (!status) return null;
  return (
    <div className="summary">
      <dl>
        <Fact name={t("storage.type")} value={status.type} />
        <Fact name={t("storage.used")} value={`${bytes(status.used)} (${percent(status.used, status.total)})`} />
        <Fact name={t("storage.free")} value={bytes(status.avail)} />
        <Fact name={t("storage.reserve")} value={bytes(status.reserve)} />
        <Fact name={t("storage.committed")} value={bytes(status.committed)} />
        <Fact name={t("storage.growth")} value={status.growth === undefined ? t("storage.notYet") : t("storage.anHour", { n: bytes(Math.max(0, status.growth)) })} />
        <Fact name={t("storage.fullIn")} value={status["full-in"] === undefined ? t("storage.notForeseen") : duration(status["full-in"])} />
        <Fact name={t("storage.shared")} value={status.shared ? t("common.yes") : t("common.no")} />
      </dl>
      <FiguresPanel row={row} kind="storage" />
    </div>
  );
}
