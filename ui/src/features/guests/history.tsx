/** A guest's earlier versions: who changed what and when, how each differs from now, and the way back, seen first. */

import { Button, Group } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";

import { problemFrom } from "../../actions/run";
import { call, type Problem } from "../../api/client";
import { t } from "../../i18n";
import { time } from "../../lib/format";
import { href } from "../../lib/router";
import { apiPath, type Resource } from "../../store/inventory";
import { useTasksOf } from "../../store/tasks";
import { ProblemPanel } from "../../ui/problem";
import { titleOf } from "./config/option";
import { TaskForm } from "./config/task";

interface Difference {
  key: string;
  section?: "pending" | "snapshot";
  old?: string;
  new?: string;
}

interface Version {
  revision: number;
  time?: number;
  user?: string;
  upid?: string;
  current?: number;
  changes?: Difference[];
}

export function History(props: { row: Resource }): ReactNode {
  const { row } = props;
  const path = apiPath(row);
  const version = useTasksOf(String(row.vmid));
  const list = useQuery({
    queryKey: ["history", path, version], queryFn: () => call<Version[]>("GET", `${path}/history`), placeholderData: (old) => old,
  });
  const problem = list.error ? problemFrom(list.error, t("history.list")) : null;
  if (problem) return <ProblemPanel problem={problem} at={row} />;
  return (
    <ul className="setting-list history" aria-label={t("history.list")}>
      {(list.data ?? []).map((one) => (
        <Line key={one.revision} version={one} path={path} again={() => void list.refetch()} />
      ))}
    </ul>
  );
}

function Line(props: { version: Version; path: string; again: () => void }): ReactNode {
  const { version, path, again } = props;
  const [open, setOpen] = useState<"" | "compare" | "restore">("");
  const toggle = (next: "compare" | "restore"): void => setOpen(open === next ? "" : next);
  const name = t("history.version", { revision: String(version.revision) });
  return (
    <li className="setting" aria-label={name}>
      <span>
        <strong>{version.time ? time(version.time) : name}</strong>
        <br />
        {version.user}
        {version.upid && <> · <a href={href("tasks", version.upid)}>{t("history.task")}</a></>}
      </span>
      <Differences changes={version.changes ?? []} none={version.changes ? t("history.same") : t("history.first")} />
      <Group gap={4} className="setting-verbs">
        {version.current ? (
          <span className="good">{t("history.now")}</span>
        ) : (
          <>
            <Button size="compact-xs" variant="subtle" aria-expanded={open === "compare"} onClick={() => toggle("compare")}>
              {t("history.compare")}
            </Button>
            <Button size="compact-xs" variant="subtle" aria-expanded={open === "restore"} onClick={() => toggle("restore")}>
              {t("history.restore")}
            </Button>
          </>
        )}
      </Group>
      {open === "compare" && <Comparison path={path} revision={version.revision} />}
      {open === "restore" && (
        <TaskForm title={t("history.restoreTitle", { when: version.time ? time(version.time) : name })} method="POST" guest={path} path={`history/${version.revision}/restore`} params={{}} submit={t("history.restoreYes")} onClose={() => setOpen("")} onDone={again}>
          <p>{t("history.restoreHelp")}</p>
        </TaskForm>
      )}
    </li>
  );
}

/** From that version to now. */
function Comparison(props: { path: string; revision: number }): ReactNode {
  const { path, revision } = props;
  const [at] = useState(() => Date.now());
  const found = useQuery({ queryKey: ["diff", path, revision, at], queryFn: () => call<Difference[]>("GET", `${path}/history/${revision}/diff`) });
  const problem: Problem | null = found.error ? problemFrom(found.error, t("history.compare")) : null;
  return (
    <section className="change" aria-label={t("history.compare")}>
      {problem && <ProblemPanel problem={problem} />}
      {found.data && <Differences changes={found.data} none={t("history.same")} />}
    </section>
  );
}

function Differences(props: { changes: readonly Difference[]; none: string }): ReactNode {
  const { changes, none } = props;
  if (!changes.length) return <span className="hint-line">{none}</span>;
  return (
    <ul className="outlook">
      {changes.map((one) => (
        <li key={`${one.section ?? ""} ${one.key}`}>
          {one.section && <strong>{t(`history.section_${one.section}`)} </strong>}
          {one.section === "snapshot"
            ? t(one.new ? "history.snapshotTaken" : "history.snapshotGone", { name: one.key })
            : t("config.becomes", { what: titleOf(one.key), old: one.old ?? t("config.unset"), new: one.new ?? t("config.unset") })}
        </li>
      ))}
    </ul>
  );
}
