/** A list of the API, asked for when it is shown and again after a change. */

import { useQuery, useQueryClient } from "@tanstack/react-query";

import { ask } from "../api/client";
import type { Api } from "../api/types";

/** Keys of calls that answer a list. */
type Lists = { [K in keyof Api]: Api[K]["reply"] extends readonly unknown[] ? K : never }[keyof Api];

export function useList<K extends Lists>(key: K, params: Api[K]["params"]): { rows: Api[K]["reply"]; again: () => void; loaded: boolean; error: unknown } {
  const queries = useQueryClient();
  const found = useQuery({ queryKey: [key, params], queryFn: () => ask(key, params) });
  return {
    rows: found.data ?? ([] as Api[K]["reply"]), loaded: found.data !== undefined, error: found.error,
    again: () => void queries.invalidateQueries({ queryKey: [key, params], exact: true }),
  };
}
