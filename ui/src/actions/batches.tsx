/** What became of orders: for one thing its failure in five parts, for many a line each, and again what failed. */

import { Button, Group, Progress } from "@mantine/core";
import { type ReactNode, useState, useSyncExternalStore } from "react";

import { t } from "../i18n";
import { inventory, titleOf } from "../store/inventory";
import { ProblemPanel } from "../ui/problem";
import { Rows } from "../ui/rows";
import { saidText } from "../ui/said";
import { labelOf } from "./registry";
import { type Batch, dismiss, type Item, onBatches, retry, shownBatches } from "./run";

export function Batches(): ReactNode {
  const batches = useSyncExternalStore(onBatches, shownBatches);
  return batches.map((batch) => (batch.items.length === 1 ? <Single key={batch.key} batch={batch} /> : <Many key={batch.key} batch={batch} />));
}

/** As it is called now. */
function nameOf(item: Item): string {
  return titleOf(inventory.get(item.row.id) ?? item.row);
}

function Single(props: { batch: Batch }): ReactNode {
  const { batch } = props;
  const item = batch.items[0] as Item;
  const { action } = batch;
  const again = (): void => void retry(batch);
  return (
    <ProblemPanel
      title={`${labelOf(batch.action)} ${nameOf(item)}`} problem={item.problem ?? { code: "", message: "" }}
      at={inventory.get(item.row.id) ?? item.row} retry={{ label: labelOf(action), path: action.path(item.row), act: again }}
      onClose={() => dismiss(batch)} onRetry={again}
    />
  );
}

function Many(props: { batch: Batch }): ReactNode {
  const { batch } = props;
  const [onlyFailed, setOnlyFailed] = useState(false);
  const count = (state: Item["state"]): number => batch.items.filter((item) => item.state === state).length;
  const [done, failed] = [count("done"), count("failed")];
  const title = t("action.onMany", { action: labelOf(batch.action), n: batch.items.length });
  const items = onlyFailed ? batch.items.filter((item) => item.state === "failed") : batch.items;
  return (
    <section className="batch" aria-label={title}>
      <header>
        <strong>{title}</strong>
        <span role="status">{t("action.progress", { done, failed, all: batch.items.length })}</span>
        <Group gap={4}>
          {failed > 0 && (
            <>
              <Button size="compact-xs" variant="default" aria-pressed={onlyFailed} onClick={() => setOnlyFailed(!onlyFailed)}>
                {t("action.onlyFailed")}
              </Button>
              <Button size="compact-xs" onClick={() => void retry(batch)}>
                {t("action.retryFailed", { n: failed })}
              </Button>
            </>
          )}
          <Button size="compact-xs" variant="subtle" onClick={() => dismiss(batch)}>
            {t("common.dismiss")}
          </Button>
        </Group>
      </header>
      <Progress.Root size="sm" aria-hidden="true">
        <Progress.Section value={(100 * done) / batch.items.length} color="green" />
        <Progress.Section value={(100 * failed) / batch.items.length} color="red" />
      </Progress.Root>
      <div className="batch-rows" style={{ height: 28 * Math.min(items.length, 6) }}>
        <Rows items={items} keyOf={(item) => item.row.id} label={title}>
          {(item) => (
            <div className="batch-line">
              <span>{nameOf(item)}</span>
              <span className={{ done: "good", failed: "bad", running: "busy", waiting: "" }[item.state]}>
                {t(`action.item_${item.state}`)}
                {item.problem ? `: ${saidText(item.problem.message)}` : ""}
              </span>
            </div>
          )}
        </Rows>
      </div>
    </section>
  );
}
