/** The first view: the whole in numbers, what somebody should look at, and all guests. */

import { type ReactNode, useEffect, useMemo } from "react";

import { t } from "../../i18n";
import { bytes } from "../../lib/format";
import { watch } from "../../store/feed";
import { type Field, inventory, useNode, useVersion } from "../../store/inventory";
import { Gauge } from "../../ui/facts";
import { GuestList } from "../guests/list";
import { Attention } from "./attention";
import { totals } from "./totals";

const READS: readonly Field[] = ["status", "template", "cpu", "mem", "maxmem", "disk", "maxdisk"];
const PAUSE_MS = 1000; // sums of 10,000 rows need not be told more often

export function OverviewPage(): ReactNode {
  return (
    <section className="page">
      <header>
        <h2>{t("overview.title")}</h2>
      </header>
      <div className="overview">
        <Numbers />
        <Attention />
      </div>
      <GuestList />
    </section>
  );
}

function Numbers(): ReactNode {
  const node = useNode();
  useEffect(() => (node ? watch([`node/${node}`]) : undefined), [node]);
  const version = useVersion(READS, PAUSE_MS);
  const sum = useMemo(() => totals(inventory.all()), [version]);
  return (
    <section className="totals" aria-label={t("overview.totals")}>
      <p>
        {[
          t("overview.guests", { n: sum.guests }), t("overview.running", { n: sum.running }),
          t("overview.templates", { n: sum.templates }), t("overview.storages", { n: sum.storages }), t("overview.nodes", { n: sum.nodes }),
        ].join(" · ")}
      </p>
      <Sum part={sum.cpu} text={t("overview.cpus", { used: round(sum.cpu.used), all: sum.cpu.all })} />
      <Sum part={sum.memory} text={t("overview.memory", { used: bytes(sum.memory.used), all: bytes(sum.memory.all) })} />
      <Sum part={sum.disk} text={t("overview.disk", { used: bytes(sum.disk.used), all: bytes(sum.disk.all) })} />
      <p className="hint-line">{t("overview.promised", { promised: bytes(sum.memory.promised) })}</p>
    </section>
  );
}

function Sum(props: { part: { used: number; all: number }; text: string }): ReactNode {
  const { part, text } = props;
  return <Gauge name={text} part={part.all ? part.used / part.all : 0} text="" />;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
