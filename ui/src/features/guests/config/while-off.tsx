/** "Shut down, apply, start again": offered beside a change that a running guest refuses or has only from its next start. */

import { Button, Group, NumberInput } from "@mantine/core";
import { type ReactNode, useRef, useState } from "react";

import { type Course, STEPS, whileOff } from "../../../actions/chain";
import { problemFrom } from "../../../actions/run";
import { ended } from "../../../actions/settle";
import { call, type Params, type Problem } from "../../../api/client";
import { t } from "../../../i18n";
import { useResource } from "../../../store/inventory";
import { ProblemPanel } from "../../../ui/problem";

const SECONDS = 60; // as the server's own

interface Props {
  /** The guest's path in the API. */
  path: string;
  /** What is to be done, as its button says it. */
  what: string;
  /** Answers the id of a task where it is one. Raises ApiError. */
  apply: () => Promise<unknown>;
  /** What it becomes cannot run. */
  staysOff?: boolean;
  onDone: () => void;
  onBusy: (busy: boolean) => void;
}

export function WhileOff(props: Props): ReactNode {
  const { path, what, staysOff = false } = props;
  const row = useResource(path.split("/").slice(-2).join("/"));
  const [course, setCourse] = useState<Course | null>(null);
  const [seconds, setSeconds] = useState(SECONDS);
  const going = useRef({ wanted: true, upid: "" });
  if (!course && row?.status !== "running") return null;

  const begin = async (): Promise<void> => {
    const now = (going.current = { wanted: true, upid: "" });
    const power = (verb: string, params: Params = {}) => (): Promise<Problem | null> =>
      settled(what, () => call(`POST`, `${path}/status/${verb}`, params), (upid) => (now.upid = upid));
    props.onBusy(true);
    const work = { shutdown: power("shutdown", { timeout: seconds }), apply: () => settled(what, props.apply), start: power("start"), staysOff };
    const done = await whileOff(work, () => now.wanted, setCourse);
    props.onBusy(false);
    if (!done.failed && !done.gaveUp) props.onDone();
  };
  const giveUp = (): void => {
    const { upid } = going.current;
    going.current.wanted = false;
    // What is past stopping has shut the guest down: it is started again, unchanged.
    if (upid) void call("DELETE", `/nodes/${row?.node}/tasks/${encodeURIComponent(upid)}`).catch(() => null);
  };
  const label = staysOff ? t("config.offApply") : t("config.offApplyStart");
  return (
    <section className="while-off" aria-label={label}>
      {!course || course.over ? (
        <Group gap={6} justify="flex-end" align="flex-end">
          <NumberInput size="xs" label={t("config.offSeconds")} min={1} max={3600} value={seconds} onChange={(value) => setSeconds(Number(value) || SECONDS)} />
          <Button size="compact-sm" variant="light" onClick={() => void begin()}>
            {label}
          </Button>
        </Group>
      ) : null}
      {course && <Steps course={course} what={what} onGiveUp={giveUp} />}
    </section>
  );
}

function Steps(props: { course: Course; what: string; onGiveUp: () => void }): ReactNode {
  const { course, what } = props;
  const names = { shutdown: t("action.shutdown"), apply: what, start: t("action.start") };
  const colours = { done: "good", failed: "bad", running: "busy", waiting: "", left: "" };
  return (
    <div role="status">
      <ol>
        {STEPS.map((step) => (
          <li key={step}>
            {names[step]}: <span className={colours[course.states[step]]}>{t(`action.item_${course.states[step]}`)}</span>
          </li>
        ))}
      </ol>
      {course.states.shutdown === "running" && (
        <Button size="compact-xs" variant="default" onClick={props.onGiveUp}>
          {t("config.offGiveUp")}
        </Button>
      )}
      {course.over && course.gaveUp && <p>{t("config.offGaveUp")}</p>}
      {course.failed === "shutdown" && !course.gaveUp && <p className="bad">{t("config.offNotDown")}</p>}
      {course.problem && !course.gaveUp && <ProblemPanel problem={course.problem} />}
    </div>
  );
}

/** Makes a call and waits for the task that it begins, if it does. */
async function settled(what: string, act: () => Promise<unknown>, told: (upid: string) => void = () => {}): Promise<Problem | null> {
  try {
    const upid = await act();
    if (typeof upid !== "string" || !upid.startsWith("UPID:")) return null;
    told(upid);
    return await ended(upid);
  } catch (raised) {
    return problemFrom(raised, what);
  }
}
