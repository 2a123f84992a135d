/** The tasks: a list at the bottom of the page, or of one guest; a click shows the log as it grows. */

import { Button, Progress } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { lazy, type ReactNode, Suspense, useEffect, useMemo, useRef, useState } from "react";

import { t } from "../../i18n";
import { duration, time } from "../../lib/format";
import { LATER } from "../../shell/later";
import { useResource } from "../../store/inventory";
import { useTaskVersion } from "../../store/tasks";
import { ProblemPanel } from "../../ui/problem";
import { Rows } from "../../ui/rows";
import { ended, failed, logOf, nameOf, objectOf, parsed, recent, statusOf, stop, type Task } from "./tasks";

const Drawer = lazy(LATER.drawer);
const EVERY_MS = 2000;

export function TaskList(props: { node: string; vmid?: number }): ReactNode {
  const { node, vmid } = props;
  const [open, setOpen] = useState<Task | null>(null);
  const version = useTaskVersion();
  const tasks = useQuery({
    queryKey: ["tasks", node, vmid, version],
    queryFn: () => recent(node, vmid === undefined ? {} : { vmid }),
    placeholderData: keepPreviousData,
    refetchInterval: (query) => (query.state.data?.every(ended) ? false : EVERY_MS), // how long the running ones last
  });
  return (
    <>
      <Rows
        items={tasks.data ?? []} keyOf={(task) => task.upid} label={t("tasks.list")}
        empty={<p className="hint">{t("tasks.none")}</p>}
      >
        {(task) => (
          <button type="button" className="task-line" onClick={() => setOpen(task)}>
            <span>{time(task.starttime)}</span>
            <span>{nameOf(task)}</span>
            <span>{task.user}</span>
            <span className={failed(task) ? "bad" : ended(task) ? "good" : "busy"}>
              {ended(task) ? task.status : t("tasks.running")}
            </span>
            <span>{duration((task.endtime ?? Date.now() / 1000) - task.starttime)}</span>
          </button>
        )}
      </Rows>
      {open && (
        <Suspense fallback={null}>
          <Drawer opened onClose={() => setOpen(null)} position="right" size="lg" title={nameOf(open)}>
            <TaskView task={open} />
          </Drawer>
        </Suspense>
      )}
    </>
  );
}

/** One task, by its address. */
export function TaskPage(props: { upid: string }): ReactNode {
  const task = useMemo(() => parsed(props.upid), [props.upid]);
  return (
    <section className="page">
      <header>
        <h2>{nameOf(task)}</h2>
      </header>
      <TaskView task={task} />
    </section>
  );
}

function TaskView(props: { task: Task }): ReactNode {
  const { task } = props;
  const [lines, setLines] = useState<string[]>([]);
  const place = useRef<HTMLPreElement>(null);
  const status = useQuery({
    queryKey: ["task", task.upid],
    queryFn: () => statusOf(task),
    refetchInterval: (query) => (query.state.data?.status === "stopped" ? false : 500),
  });
  const running = status.data?.status !== "stopped";
  const seen = status.dataUpdatedAt;
  useEffect(() => {
    void logOf(task, lines.length).then((more) => {
      if (more.length) setLines((old) => [...old, ...more]);
    });
    // Each look at the status brings the lines that came since.
  }, [task, seen]); // oxlint-disable-line
  useEffect(() => {
    void place.current?.scrollTo(0, place.current.scrollHeight); // newer browsers return a promise, which is no clean-up
  }, [lines]);
  const { progress, error } = status.data ?? {};
  const at = useResource(objectOf(task));
  return (
    <section className="task-view">
      <p>
        {task.user}, {time(task.starttime)} – <strong>{running ? t("tasks.running") : status.data?.exitstatus}</strong>
        {status.data?.["waits-for"] && <> – {t("tasks.waitsFor", { what: status.data["waits-for"] })}</>}
      </p>
      {progress && <Progress value={(100 * progress.done) / (progress.total || 1)} aria-label={t("tasks.progress")} animated />}
      {error && <ProblemPanel problem={error} at={at} />}
      <pre ref={place} className="log" tabIndex={0} aria-label={t("tasks.log")} aria-live="polite">
        {lines.join("\n")}
      </pre>
      {running && (
        <Button size="compact-sm" color="red" variant="light" onClick={() => void stop(task)}>
          {t("tasks.stop")}
        </Button>
      )}
    </section>
  );
}
