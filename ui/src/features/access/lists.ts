/** A list of the API, and the way to read it again. */

import { useQuery, useQueryClient } from "@tanstack/react-query";

import { call } from "../../api/client";

export function useList<T>(path: string, params: Record<string, number> = {}): { rows: T[]; again: () => void } {
  const queries = useQueryClient();
  const found = useQuery({ queryKey: [path], queryFn: () => call<T[]>("GET", path, params) });
  return { rows: found.data ?? [], again: () => void queries.invalidateQueries({ queryKey: [path] }) };
}
