/** The tasks: a list at the bottom of the page, or of one guest; a click shows the log as it grows. */

import { Button, Progress } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { lazy, type ReactNode, Suspense, useEffect, useMemo, useReducer, useRef, useState } from "react";

import { t } from "../../i18n";
import { duration, time } from "../../lib/format";
import { LATER } from "../../shell/later";
import { useNode, useResource } from "../../store/inventory";
import { tasks as told, useAsked, useTask, useTaskVersion } from "../../store/tasks";
import { ProblemPanel } from "../../ui/problem";
import { Rows } from "../../ui/rows";
import { saidText } from "../../ui/said";
import { useLog } from "./log";
import { ended, failed, merged, MOST, nameOf, objectOf, parsed, recent, statusOf, stop, type Task } from "./tasks";

const Drawer = lazy(LATER.drawer);

export function TaskList(props: { node: string; vmid?: number }): ReactNode {
  const { node, vmid } = props;
  const [open, setOpen] = useState<Task | null>(null);
  const version = useTaskVersion();
  const asked = useAsked();
  const found = useQuery({
    queryKey: ["tasks", node, vmid, asked], queryFn: () => recent(node, vmid === undefined ? {} : { vmid }), placeholderData: keepPreviousData,
  });
  const tasks = useMemo(() => {
    const own = told.all().filter((task) => task.node === node && (vmid === undefined || task.id === String(vmid)));
    return merged(found.data ?? [], own, MOST);
    // `version` says that what is told has changed.
  }, [found.data, node, vmid, version]); // oxlint-disable-line
  useClock(!tasks.every(ended));
  return (
    <>
      <Rows
        items={tasks} keyOf={(task) => task.upid} label={t("tasks.list")}
        empty={<p className="hint">{t("tasks.none")}</p>}
      >
        {(task) => (
          <button type="button" className="task-line" onClick={() => setOpen(task)}>
            <span>{time(task.starttime)}</span>
            <span>{nameOf(task)}</span>
            <span>{task.user}</span>
            <span className={failed(task) ? "bad" : ended(task) ? "good" : "busy"}>
              {ended(task) ? saidText(task.status) : t("tasks.running")}
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

/** Draws again every second while `on`: how long something lasts is known here. */
function useClock(on: boolean): void {
  const [, tick] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    if (!on) return undefined;
    const timer = setInterval(tick, 1000);
    return () => clearInterval(timer);
  }, [on]);
}

/** The newest tasks of the node, on all of the page: on a phone there is no other list of them. */
export function TasksPage(): ReactNode {
  const node = useNode();
  return (
    <section className="page">
      <header>
        <h2>{t("tasks.list")}</h2>
      </header>
      <div className="page-body">{node && <TaskList node={node} />}</div>
    </section>
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
  const lines = useLog(task);
  const place = useRef<HTMLPreElement>(null);
  const row = useTask(task.upid);
  const asked = useAsked();
  const status = useQuery({
    queryKey: ["task", task.upid, row?.status, asked], queryFn: () => statusOf(task), placeholderData: keepPreviousData,
  });
  const running = status.data ? status.data.status !== "stopped" : !ended(row ?? task);
  useEffect(() => {
    void place.current?.scrollTo(0, place.current.scrollHeight); // newer browsers return a promise, which is no clean-up
  }, [lines]);
  const now = running ? (row ?? status.data) : status.data; // the stream is ahead of what was asked
  const { progress, "waits-for": waitsFor } = now ?? {};
  const error = status.data?.error;
  const at = useResource(objectOf(task));
  return (
    <section className="task-view">
      <p>
        {task.user}, {time(task.starttime)} – <strong>{running ? t("tasks.running") : saidText(status.data?.exitstatus ?? "")}</strong>
        {waitsFor && <> – {t("tasks.waitsFor", { what: waitsFor })}</>}
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
