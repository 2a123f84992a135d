/** One node: its load, what it is made of, its storages and its guests. */

import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useCallback, useState } from "react";

import { ask } from "../../api/client";
import { t } from "../../i18n";
import { bytes, duration, percent } from "../../lib/format";
import { useFollowing } from "../../store/following";
import { type Resource, useResource } from "../../store/inventory";
import { Fact, Gauge } from "../../ui/facts";
import { saidText } from "../../ui/said";
import FiguresPanel from "../figures/panel";
import { GuestList } from "../guests/list";
import { NewStorage } from "../storage/definition-form";

export default function NodePage(props: { node: string }): ReactNode {
  const { node } = props;
  const row = useResource(`node/${node}`);
  const [adding, setAdding] = useState(false);
  const status = useQuery({ queryKey: ["node", node], queryFn: () => ask("GET /nodes/{node}/status", { node }) });
  const version = useQuery({ queryKey: ["version", node], queryFn: () => ask("GET /version", {}) });
  useFollowing(["node", node], [`node/${node}`], 3000);
  const own = useCallback((one: Resource) => one.node === node, [node]);
  if (!row) return <p className="hint">{t("node.missing")}</p>;
  const now = status.data;
  return (
    <section className="page">
      <header>
        <h2>{node}</h2>
        <Button size="compact-sm" variant="default" onClick={() => setAdding(true)}>
          {t("storage.new")}
        </Button>
      </header>
      {now && (
        <div className="summary">
          <dl>
            <Fact name={t("node.up")} value={duration(now.uptime)} />
            <Fact name={t("node.processor")} value={`${now.cpuinfo.cpus} × ${now.cpuinfo.model}`} />
            <Fact name={t("node.kernel")} value={now.kversion} />
            <Fact name={t("node.version")} value={t("node.versionIs", { tarmac: String(version.data?.["tarmac"] ?? "–"), api: String(version.data?.["version"] ?? "–") })} />
            <Fact name={t("node.load")} value={now.loadavg.join(", ")} />
          </dl>
          <Gauge name={t("node.cpu")} part={now.cpu} text={percent(now.cpu)} />
          <Gauge
            name={t("node.memoryOf", { whole: bytes(now.memory.total) })} part={now.memory.used / now.memory.total}
            text={bytes(now.memory.used)}
          />
          <Gauge
            name={t("node.diskOf", { whole: bytes(now.rootfs.total) })} part={now.rootfs.used / now.rootfs.total}
            text={bytes(now.rootfs.used)}
          />
          {!now.accelerator.kvm && <p className="hint">{t("node.emulates", { reason: saidText(now.accelerator.reason) })}</p>}
          <FiguresPanel row={row} kind="node" />
        </div>
      )}
      <GuestList of={own} title={t("node.guestsOf", { node })} />
      {adding && <NewStorage onClose={() => setAdding(false)} />}
    </section>
  );
}
