/** What somebody should look at: each with its cause, the line that shows it, and what helps. */

import { Button, Code } from "@mantine/core";
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";

import { ask } from "../../api/client";
import type { Finding } from "../../api/types";
import { t } from "../../i18n";
import { time } from "../../lib/format";
import { href } from "../../lib/router";
import { useThrottled } from "../../lib/throttle";
import { placeOf } from "../../shell/tree";
import { useFollowing } from "../../store/following";
import { type Resource, titleOf, useResource } from "../../store/inventory";
import { useTaskVersion } from "../../store/tasks";
import { FixLine } from "../../ui/fix";
import { Said } from "../../ui/said";
import { nameOf } from "../tasks/tasks";

const LATEST_MS = 15_000;
const AT_MOST_MS = 2000;
const FIRST = 5;
const MARKS: Record<Finding["severity"], string> = { error: "✕", warning: "▲", info: "●" };

export function Attention(): ReactNode {
  const version = useThrottled(useTaskVersion(), AT_MOST_MS); // what was done may have changed it
  const [all, setAll] = useState(false);
  const queries = useQueryClient();
  const found = useQuery({
    queryKey: ["attention", version], queryFn: () => ask("GET /cluster/attention", {}),
    placeholderData: keepPreviousData,
  });
  useFollowing(["attention"], null, LATEST_MS);
  const rows = found.data ?? [];
  const again = (): void => void queries.invalidateQueries({ queryKey: ["attention"] });
  return (
    <section className="attention" aria-label={t("overview.attention")}>
      <h3>{t("overview.attention")}</h3>
      {found.data && !rows.length && <p className="good">✓ {t("overview.calm")}</p>}
      <ul>
        {(all ? rows : rows.slice(0, FIRST)).map((one) => (
          <One key={one.id} finding={one} onDone={again} />
        ))}
      </ul>
      {rows.length > FIRST && (
        <Button size="compact-xs" variant="subtle" onClick={() => setAll(!all)}>
          {all ? t("overview.fewer") : t("overview.more", { n: rows.length - FIRST })}
        </Button>
      )}
    </section>
  );
}

function One(props: { finding: Finding; onDone: () => void }): ReactNode {
  const { finding, onDone } = props;
  const at = useResource(finding.object);
  return (
    <li className={`finding finding-${finding.severity}`}>
      <details>
        <summary>
          <span className="mark" aria-hidden="true">
            {MARKS[finding.severity]}
          </span>{" "}
          <span className="unseen">{t(`overview.severity_${finding.severity}`)}: </span>
          <What finding={finding} />
          {finding.since && <span className="hint-line"> {t("overview.since", { time: time(finding.since) })}</span>}
        </summary>
        {at && <Where row={at} />}
        {finding.cause && (
          <p>
            {t("common.why")} <Said text={finding.cause} />
          </p>
        )}
        {finding.evidence && <Code block>{finding.evidence}</Code>}
      </details>
      {!!finding.fixes?.length && (
        <ul className="fixes">
          {finding.fixes.map((fix) => (
            <FixLine key={fix.text} fix={fix} at={at} onDone={onDone} />
          ))}
        </ul>
      )}
    </li>
  );
}

/** Of a failed task the message begins with its kind and object, which have words here. */
function What(props: { finding: Finding }): ReactNode {
  const { id, message } = props.finding;
  const [, type = "", object = "", rest = ""] = id.startsWith("task/") ? (/^(\S+) (\S*): (.*)$/s.exec(message) ?? []) : [];
  if (!type) return <Said text={message} />;
  return (
    <>
      {nameOf({ type, id: object })}: <Said text={rest} />
    </>
  );
}

function Where(props: { row: Resource }): ReactNode {
  return (
    <p>
      <a href={href(...placeOf(props.row))}>{titleOf(props.row)}</a>
    </p>
  );
}
