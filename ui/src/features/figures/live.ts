/** The last two minutes of an object, from the stream: a sample whenever its figures come (every second). */

import { useEffect, useState } from "react";

import type { Figures } from "../../api/types";
import { watch } from "../../store/feed";
import { inventory } from "../../store/inventory";
import { between, type Kind, type Sample } from "./series";

const KEPT = 120;
const APART_SECONDS = 0.5; // a change of state may come between two samples

export function useLive(kind: Kind, id: string): Figures[] {
  const [rows, setRows] = useState<Figures[]>([]);
  useEffect(() => {
    let last: Sample | undefined;
    setRows([]);
    const take = (): void => {
      const row = inventory.get(id);
      const now = { time: Date.now() / 1000, row: row ?? {} };
      if (!row || (row.vmid !== undefined && row.status !== "running")) last = undefined;
      else if (!last || now.time - last.time >= APART_SECONDS) {
        const figures = between(kind, last, now);
        last = now;
        setRows((old) => [...old.slice(-KEPT + 1), figures]);
      }
    };
    const unlisten = inventory.onRow(id, take);
    const unwatch = watch([id]);
    return () => {
      unlisten();
      unwatch();
    };
  }, [kind, id]);
  return rows;
}
