import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useEffect } from "react";

import { bytes, duration, percent } from "../../lib/format";
import { watch } from "../../store/feed";
import { apiPath, type Resource } from "../../store/inventory";
import { Fact, Gauge } from "../../ui/facts";
import { addressesOf, statusOf } from "./api";

const BOOTING = 60; // seconds in which no agent is expected to answer

export function Summary(props: { row: Resource }): ReactNode {
  const { row } = props;
  const path = apiPath(row);
  const running = row.status === "running";
  const status = useQuery({ queryKey: ["status", path, row.status], queryFn: () => statusOf(path), refetchInterval: 5000 });
  useEffect(() => watch([row.id]), [row.id]);
  const addresses = useQuery({
    queryKey: ["addresses", path], queryFn: () => addressesOf(path), enabled: running && status.data?.agent === 1 && (row.uptime ?? 0) > BOOTING,
    refetchInterval: 15_000, retry: false,
  });
  const now = status.data;
  return (
    <div className="summary">
      <dl>
        <Fact name="State" value={now?.qmpstatus ?? row.status} />
        <Fact name="Up" value={duration(row.uptime)} />
        <Fact name="Addresses" value={addresses.data?.join(", ") || (running ? "not known: the agent does not say" : "–")} />
        <Fact name="Node" value={row.node} />
        <Fact name="Pool" value={row.pool} />
        <Fact name="Tags" value={row.tags?.replaceAll(";", ", ")} />
        {now?.accelerator && (
          <Fact
            name="Runs on"
            value={now.accelerator === "kvm" ? "KVM" : `emulation, which is slow: ${now["accelerator-reason"] ?? ""}`}
          />
        )}
        {now?.["last-exit"] && <Fact name="Ended last" value={now["last-exit"]} />}
        {now?.note && <Fact name="Note" value={now.note} />}
      </dl>
      <Gauge name={`CPU, of ${row.maxcpu ?? 1}`} part={running ? (row.cpu ?? 0) : 0} text={percent(running ? row.cpu : 0)} />
      <Gauge
        name={`Memory, of ${bytes(row.maxmem)}`} part={running && row.maxmem ? (row.mem ?? 0) / row.maxmem : 0}
        text={bytes(running ? row.mem : 0)}
      />
    </div>
  );
}
