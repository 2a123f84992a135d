/** As `ChangeForm`, for work that is a task of its own: its plan before, its end awaited. */

import { Button, Group } from "@mantine/core";
import { type FormEvent, type ReactNode, useEffect, useState } from "react";

import { problemFrom } from "../../../actions/run";
import { call, type Method, type Params, type Problem } from "../../../api/client";
import { t } from "../../../i18n";
import { toast } from "../../../store/toasts";
import { Outlook, Refusal } from "./change";
import type { Plan } from "./use";

const PAUSE_MS = 250;

export function TaskForm(props: {
  title: string;
  method: Method;
  path: string;
  params: Params;
  submit: string;
  onClose: () => void;
  onDone: () => void;
  children: ReactNode;
}): ReactNode {
  const { title, method, path, params, submit, onClose, onDone } = props;
  const [plan, setPlan] = useState<Plan | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const text = JSON.stringify(params);
  useEffect(() => {
    let gone = false;
    setPlan(null);
    setProblem(null);
    const timer = setTimeout(() => {
      call<Plan>(method, path, { ...(JSON.parse(text) as Params), dryrun: 1 })
        .then((found) => gone || setPlan(found))
        .catch((raised: unknown) => gone || setProblem(problemFrom(raised, title)));
    }, PAUSE_MS);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [method, path, text, title]);
  const send = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      await call(method, path, { ...params, wait: 2 });
      onDone();
      onClose();
      toast(t("config.begun", { what: title }));
    } catch (raised) {
      setProblem(problemFrom(raised, title));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form className="change" aria-label={title} onSubmit={(event) => void send(event)} onKeyDown={(e) => e.key === "Escape" && onClose()}>
      {props.children}
      {plan && <Outlook plan={{ ...plan, effects: [...plan.effects, ...plan.steps.map((step) => step.title)] }} />}
      <Refusal problem={problem} />
      <Group gap={6} justify="flex-end">
        <Button size="compact-sm" variant="default" onClick={onClose}>
          {t("common.cancel")}
        </Button>
        <Button size="compact-sm" type="submit" loading={busy} disabled={problem !== null}>
          {submit}
        </Button>
      </Group>
    </form>
  );
}
