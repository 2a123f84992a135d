import { useQuery } from "@tanstack/react-query";
import { lazy, type ReactNode, Suspense, useEffect } from "react";

import { t, word } from "../../i18n";
import { bytes, duration, percent } from "../../lib/format";
import { watch } from "../../store/feed";
import { useFollowing } from "../../store/following";
import { apiPath, type Resource } from "../../store/inventory";
import { Fact, Gauge } from "../../ui/facts";
import { saidText } from "../../ui/said";
import { addressesOf, statusOf } from "./api";

const FiguresPanel = lazy(() => import("../figures/panel"));
const BOOTING = 60; // seconds in which no agent is expected to answer

export function Summary(props: { row: Resource }): ReactNode {
  const { row } = props;
  const path = apiPath(row);
  const running = row.status === "running";
  const status = useQuery({ queryKey: ["status", path, row.status], queryFn: () => statusOf(path) });
  useFollowing(["status", path], [row.id], 3000);
  useEffect(() => watch([row.id]), [row.id]);
  const addresses = useQuery({
    queryKey: ["addresses", path], queryFn: () => addressesOf(path), enabled: running && status.data?.agent === 1 && (row.uptime ?? 0) > BOOTING,
    retry: false,
  });
  useFollowing(["addresses", path], [row.id], 15_000);
  const now = status.data;
  return (
    <div className="summary">
      <dl>
        <Fact name={t("summary.state")} value={now && word("common", `state_${now.qmpstatus}`, now.qmpstatus)} />
        <Fact name={t("summary.up")} value={duration(row.uptime)} />
        <Fact name={t("summary.addresses")} value={addresses.data?.join(", ") || (running ? t("summary.addressesUnknown") : "–")} />
        <Fact name={t("summary.node")} value={row.node} />
        <Fact name={t("summary.pool")} value={row.pool} />
        <Fact name={t("summary.tags")} value={row.tags?.replaceAll(";", ", ")} />
        {now?.accelerator && (
          <Fact
            name={t("summary.runsOn")}
            value={now.accelerator === "kvm" ? "KVM" : t("summary.emulated", { reason: saidText(now["accelerator-reason"] ?? "") })}
          />
        )}
        {now?.["last-exit"] && <Fact name={t("summary.lastExit")} value={now["last-exit"]} />}
        {now?.note && <Fact name={t("summary.note")} value={now.note} />}
      </dl>
      <Gauge name={t("summary.cpuOf", { n: row.maxcpu ?? 1 })} part={running ? (row.cpu ?? 0) : 0} text={percent(running ? row.cpu : 0)} />
      <Gauge
        name={t("summary.memoryOf", { whole: bytes(row.maxmem) })} part={running && row.maxmem ? (row.mem ?? 0) / row.maxmem : 0}
        text={bytes(running ? row.mem : 0)}
      />
      <Suspense fallback={null}>
        <FiguresPanel row={row} kind="guest" />
      </Suspense>
    </div>
  );
}
