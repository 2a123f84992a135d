/** One storage: how full it is, and what it holds. */

import { Progress } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";

import { call } from "../../api/client";
import { bytes, percent, time } from "../../lib/format";
import { useAll } from "../../store/inventory";
import { Rows } from "../../ui/rows";

interface Volume {
  volid: string;
  content: string;
  format: string;
  size: number;
  used?: number;
  vmid?: number;
  ctime?: number;
}

export function StoragePage(props: { storage: string }): ReactNode {
  const row = useAll().find((one) => one.type === "storage" && one.storage === props.storage);
  const path = `/nodes/${row?.node}/storage/${props.storage}`;
  const content = useQuery({
    queryKey: ["content", path], queryFn: () => call<Volume[]>("GET", `${path}/content`), enabled: row !== undefined,
    refetchInterval: 10_000,
  });
  if (!row) return <p className="hint">There is no such storage, or you may not see it.</p>;
  return (
    <section className="page">
      <header>
        <h2>{props.storage}</h2>
        <span className="hint">
          {bytes(row.disk)} of {bytes(row.maxdisk)} used ({percent(row.disk, row.maxdisk)})
        </span>
      </header>
      <Progress value={row.maxdisk ? (100 * (row.disk ?? 0)) / row.maxdisk : 0} aria-label="Used" />
      <Rows
        items={content.data ?? []} keyOf={(volume) => volume.volid} label="Volumes"
        empty={<p className="hint">It holds nothing yet.</p>}
      >
        {(volume) => (
          <div className="volume-line">
            <span>{volume.volid}</span>
            <span>{volume.content}</span>
            <span>{volume.format}</span>
            <span>{bytes(volume.size)}</span>
            <span>{volume.vmid}</span>
            <span>{time(volume.ctime)}</span>
          </div>
        )}
      </Rows>
    </section>
  );
}
