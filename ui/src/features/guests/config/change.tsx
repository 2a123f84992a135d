/** A change before it is made: its form, what the server says it would do and when, and the two ways out. */

import { Button, Group } from "@mantine/core";
import { type FormEvent, type ReactNode, useEffect, useMemo, useState } from "react";

import { problemFrom } from "../../../actions/run";
import type { Problem } from "../../../api/client";
import { t } from "../../../i18n";
import { toast } from "../../../store/toasts";
import { ProblemPanel } from "../../../ui/problem";
import { Outlook, When } from "./outlook";
import { type Config, inverseOf, type Plan, planOf, save, type Wish } from "./use";
import { WhileOff } from "./while-off";

const PAUSE_MS = 250; // of typing, before the server is asked

/** `wish` null: nothing has been changed yet. */
export function ChangeForm(props: {
  title: string;
  path: string;
  config: Config;
  wish: Wish | null;
  submit?: string;
  onClose: () => void;
  children: ReactNode;
}): ReactNode {
  const { title, path, config, wish, onClose } = props;
  const { plan, refused } = usePlan(path, wish);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const [off, setOff] = useState(false); // while the guest is
  const back = wish && inverseOf(wish, config.rows);
  const done = (): void => {
    config.again();
    onClose();
    toast(t("config.saved", { what: title }), back ? async () => {
      await save(path, back);
      config.again();
    } : undefined);
  };
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (!wish) return;
    setBusy(true);
    setProblem(null);
    try {
      await save(path, wish, config.digest);
      done();
    } catch (raised) {
      setProblem(problemFrom(raised, title));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form className="change" aria-label={title} onSubmit={(event) => void submit(event)} onKeyDown={(e) => e.key === "Escape" && onClose()}>
      {props.children}
      <Outlook plan={plan} />
      <Refusal problem={problem ?? refused} />
      {wish && (off || needsOff(plan) || (problem && refusedNow(problem))) && (
        <WhileOff path={path} what={props.submit ?? t("common.save")} apply={() => save(path, wish, config.digest)} onDone={done} onBusy={setOff} />
      )}
      <Group gap={6} justify="flex-end">
        <Button size="compact-sm" variant="default" onClick={onClose}>
          {t("common.cancel")}
        </Button>
        <Button size="compact-sm" type="submit" loading={busy || off} disabled={!wish || refused !== null}>
          {props.submit ?? t("common.save")}
        </Button>
      </Group>
    </form>
  );
}

/** Asks the server, a moment after the last key, what the wish would do. */
export function usePlan(path: string, wish: Wish | null): { plan: Plan | null; refused: Problem | null } {
  const [plan, setPlan] = useState<Plan | null>(null);
  const [refused, setRefused] = useState<Problem | null>(null);
  const text = useMemo(() => JSON.stringify(wish), [wish]);
  useEffect(() => {
    setPlan(null);
    setRefused(null);
    const wanted = JSON.parse(text) as Wish | null;
    if (!wanted) return undefined;
    let gone = false;
    const timer = setTimeout(() => {
      planOf(path, wanted)
        .then((found) => gone || setPlan(found))
        .catch((raised: unknown) => gone || setRefused(problemFrom(raised, "")));
    }, PAUSE_MS);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [path, text]);
  return { plan, refused };
}

/** Why it cannot be done, and whether it could with the guest stopped. */
export function Refusal(props: { problem: Problem | null }): ReactNode {
  const { problem } = props;
  if (!problem) return null;
  return (
    <>
      {refusedNow(problem) && <When at="stop" />}
      <ProblemPanel problem={problem} />
    </>
  );
}

/** Whether what a running guest was to be given, or to let go of, was refused by it. (What else it does not permit stands
 * in the plan.) */
export function refusedNow(problem: Problem): boolean {
  return /^(unplug-timeout|plug-refused)$/.test(problem.code);
}

/** Whether a running guest does not have it at once. */
export function needsOff(plan: Plan | null): boolean {
  return plan !== null && plan.when !== "now";
}
