/** Changes of what is defined (users, pools, storages, ...): who, when, from what to what, and back by one click. */

import { Button } from "@mantine/core";
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";

import { problemFrom } from "../../actions/run";
import { ended } from "../../actions/settle";
import { ApiError, ask, call, type Method } from "../../api/client";
import type { Api, DefinitionChange } from "../../api/types";
import { t, word } from "../../i18n";
import { time } from "../../lib/format";
import { soon } from "../../store/feed";
import { toast } from "../../store/toasts";
import { ActButton } from "../../ui/act";
import { ProblemPanel } from "../../ui/problem";
import { Said, saidText } from "../../ui/said";
import { type Difference, differences } from "./values";

const PAGE = 30;

export type Sought = Pick<Api["GET /cluster/history"]["params"], "kind" | "name" | "userid">;

export function Changes(props: { of: Sought }): ReactNode {
  const { of } = props;
  const queries = useQueryClient();
  const [limit, setLimit] = useState(PAGE);
  const found = useQuery({
    queryKey: ["changes", of, limit], queryFn: () => ask("GET /cluster/history", { ...of, limit: limit + 1 }), placeholderData: keepPreviousData,
  });
  if (found.error) return <ProblemPanel problem={problemFrom(found.error, t("history.list"))} />;
  const rows = found.data ?? [];
  if (found.data && !rows.length) return <p className="hint">{t("history.none")}</p>;
  return (
    <>
      <ul className="setting-list history" aria-label={t("history.list")}>
        {rows.slice(0, limit).map((one) => (
          <Line key={one.id} change={one} again={() => void queries.invalidateQueries()} />
        ))}
      </ul>
      {rows.length > limit && (
        <p>
          <Button size="compact-sm" variant="default" onClick={() => setLimit(limit + PAGE)}>
            {t("history.more")}
          </Button>
        </p>
      )}
    </>
  );
}

function Line(props: { change: DefinitionChange; again: () => void }): ReactNode {
  const { change, again } = props;
  const undo = async (): Promise<void> => {
    try {
      await undone(change);
      toast(t("history.undone", { what: saidText(change.what) }));
    } finally {
      again(); // of several calls some may have been made
    }
  };
  return (
    <li className="setting" aria-label={saidText(change.what)}>
      <span>
        <strong>{time(change.time)}</strong>
        <br />
        {change.user}
      </span>
      <span>
        <span>
          <Said text={change.what} />
        </span>
        <ul className="outlook">
          {change.objects.flatMap((one) =>
            differences(one.changes ?? []).map((field) => (
              <li key={`${one.kind}/${one.name} ${field.key} ${field.old} ${field.new}`}>
                <span className="hint-line">
                  {word("history", `kind_${one.kind.replaceAll("-", "_")}`, one.kind)} {one.name}:
                </span>{" "}
                {sentence(field)}
              </li>
            )),
          )}
        </ul>
      </span>
      <span className="setting-verbs">
        {change.inverse.length > 0 ? (
          <ActButton label={t("history.undo")} hint={change.inverse.map((one) => `${one.method} ${one.path}`).join("\n")} act={undo} />
        ) : (
          <span className="hint-line">{t("history.noWayBack")}</span>
        )}
      </span>
    </li>
  );
}

function sentence(field: Difference): string {
  if (!field.key) return t("history.replaced");
  if (!field.old) return t("history.added", { what: field.key, new: field.new });
  return field.new ? t("config.becomes", { what: field.key, old: field.old, new: field.new }) : t("history.gone", { what: field.key, old: field.old });
}

/** Makes the inverse calls in their order; the first that is refused ends it. Raises ApiError. */
async function undone(change: DefinitionChange): Promise<void> {
  for (const { method, path, parameters } of change.inverse) {
    const upid = await call<unknown>(method as Method, path, parameters);
    const failed = typeof upid === "string" && upid.startsWith("UPID:") ? await ended(upid) : null;
    soon();
    if (failed) throw new ApiError(0, failed);
  }
}
