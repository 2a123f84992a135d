/** An object's figures: live, or of a time span that the server kept. */

import { Group } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { lazy, type ReactNode, Suspense, useState } from "react";

import { ask } from "../../api/client";
import type { Figures } from "../../api/types";
import { t } from "../../i18n";
import { useFollowing } from "../../store/following";
import type { Resource } from "../../store/inventory";
import { Segments } from "../../ui/segments";
import { useLive } from "./live";
import type { Kind } from "./series";

const Charts = lazy(() => import("./charts"));
const SPANS = ["hour", "day", "week", "month", "year"] as const;
const VALUES = ["AVERAGE", "MAX"] as const;
const EVERY_MS = 60_000; // the server writes a row a minute
type Span = (typeof SPANS)[number];

export default function FiguresPanel(props: { row: Resource; kind: Kind }): ReactNode {
  const { row, kind } = props;
  const spans = kind === "storage" ? SPANS : (["live", ...SPANS] as const);
  const [span, setSpan] = useState<Span | "live">(kind === "storage" ? "day" : "live");
  const [cf, setCf] = useState<(typeof VALUES)[number]>("AVERAGE");
  return (
    <section className="figures" aria-label={t("figures.title")}>
      <Group gap={8}>
        <Segments value={span} label={t("figures.span")} onChange={setSpan} choices={spans.map((one) => ({ value: one, text: t(`figures.${one}`) }))} />
        {span !== "live" && (
          <Segments value={cf} label={t("figures.of")} onChange={setCf} choices={VALUES.map((one) => ({ value: one, text: t(`figures.${one}`) }))} />
        )}
      </Group>
      <Suspense fallback={null}>
        {span === "live" ? <Live row={row} kind={kind} /> : <Kept row={row} kind={kind} span={span} cf={cf} />}
      </Suspense>
    </section>
  );
}

function Live(props: { row: Resource; kind: Kind }): ReactNode {
  const rows = useLive(props.kind, props.row.id);
  if (rows.length < 2) return <p className="hint">{props.row.status === "stopped" ? t("figures.none") : t("figures.waiting")}</p>;
  return <Charts kind={props.kind} rows={rows} sync={`live ${props.row.id}`} />;
}

function Kept(props: { row: Resource; kind: Kind; span: Span; cf: "AVERAGE" | "MAX" }): ReactNode {
  const { row, kind, span, cf } = props;
  const found = useQuery({
    queryKey: ["figures", row.id, span, cf], queryFn: () => kept(row, kind, span, cf),
    placeholderData: keepPreviousData,
  });
  useFollowing(["figures", row.id], [row.id], EVERY_MS);
  if (!found.data) return null;
  return <Charts kind={kind} rows={found.data} sync={`kept ${row.id}`} />;
}

function kept(row: Resource, kind: Kind, timeframe: Span, cf: "AVERAGE" | "MAX"): Promise<Figures[]> {
  const node = row.node ?? "";
  if (kind === "node") return ask("GET /nodes/{node}/rrddata", { node, timeframe, cf });
  if (kind === "storage") return ask("GET /nodes/{node}/storage/{storage}/rrddata", { node, storage: row.storage ?? "", timeframe, cf });
  return ask("GET /nodes/{node}/qemu/{vmid}/rrddata", { node, vmid: row.vmid ?? 0, timeframe, cf });
}
