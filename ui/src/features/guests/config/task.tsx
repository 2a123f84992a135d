/** As `ChangeForm`, for work that is a task of its own: its plan before, its end awaited. */

import { Button, Group } from "@mantine/core";
import { type FormEvent, type ReactNode, useEffect, useState } from "react";

import { problemFrom } from "../../../actions/run";
import { call, type Method, type Params, type Problem } from "../../../api/client";
import { t } from "../../../i18n";
import { toast } from "../../../store/toasts";
import { needsOff, Refusal } from "./change";
import { Outlook } from "./outlook";
import type { Plan } from "./use";
import { WhileOff } from "./while-off";

const PAUSE_MS = 250;

export function TaskForm(props: {
  title: string;
  method: Method;
  /** The guest's path in the API; what is called stands below it. */
  guest: string;
  path: string;
  /** Null: not all of it is there yet. */
  params: Params | null;
  submit: string;
  onClose: () => void;
  onDone: () => void;
  children: ReactNode;
}): ReactNode {
  const { title, method, guest, params, submit, onClose, onDone } = props;
  const path = `${guest}/${props.path}`;
  const [plan, setPlan] = useState<Plan | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const [off, setOff] = useState(false); // while the guest is
  const text = JSON.stringify(params);
  useEffect(() => {
    let gone = false;
    setPlan(null);
    setProblem(null);
    const given = JSON.parse(text) as Params | null;
    if (!given) return undefined;
    const timer = setTimeout(() => {
      call<Plan>(method, path, { ...given, dryrun: 1 })
        .then((found) => gone || setPlan(found))
        .catch((raised: unknown) => gone || setProblem(problemFrom(raised, title)));
    }, PAUSE_MS);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [method, path, text, title]);
  const done = (word: "config.begun" | "config.saved"): void => {
    onDone();
    onClose();
    toast(t(word, { what: title }));
  };
  const send = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      await call(method, path, { ...params, wait: 2 });
      done("config.begun");
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
      {params && (off || needsOff(plan)) && (
        <WhileOff path={guest} what={submit} apply={() => call(method, path, params)} onDone={() => done("config.saved")} onBusy={setOff} />
      )}
      <Group gap={6} justify="flex-end">
        <Button size="compact-sm" variant="default" onClick={onClose}>
          {t("common.cancel")}
        </Button>
        <Button size="compact-sm" type="submit" loading={busy || off} disabled={!params || problem !== null || plan?.refusal !== undefined}>
          {submit}
        </Button>
      </Group>
    </form>
  );
}
