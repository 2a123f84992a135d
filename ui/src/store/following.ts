/** What is asked beside the stream is asked again when the stream tells of what it is about: nothing asks by the clock. */

import { type QueryKey, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";

import { inventory } from "./inventory";

/** Ask again what begins with `queryKey` when one of these rows changes (`null`: any), at most every `pause` ms. */
export function useFollowing(queryKey: QueryKey, ids: readonly string[] | null, pause: number): void {
  const queries = useQueryClient();
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = inventory.onAny((changed) => {
      if (timer !== undefined || (ids && !ids.some((id) => changed.has(id)))) return;
      timer = setTimeout(() => {
        timer = undefined;
        void queries.invalidateQueries({ queryKey });
      }, pause);
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [queries, JSON.stringify([queryKey, ids]), pause]); // oxlint-disable-line
}
