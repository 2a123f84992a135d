/** One thing that helps, with the button that does it. What loses something asks first. */

import { Button, Code } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { useForms } from "../actions/forms";
import { remedyOf } from "../actions/fix";
import { labelOf, lossOf } from "../actions/registry";
import { problemFrom } from "../actions/run";
import { ended } from "../actions/settle";
import { call, type Fix, type Problem } from "../api/client";
import { t } from "../i18n";
import { soon } from "../store/feed";
import type { Resource } from "../store/inventory";
import { ProblemPanel } from "./problem";
import { Said, saidText } from "./said";

/** What was tried and failed, to be tried again once a fix is done. */
export interface Retry {
  label: string;
  path: string;
  act: () => void;
}

export function FixLine(props: { fix: Fix; at?: Resource | undefined; retry?: Retry | undefined; onDone?: (() => void) | undefined }): ReactNode {
  const { fix, at, retry, onDone } = props;
  const openForm = useForms();
  const [state, setState] = useState<"" | "asked" | "busy" | "done">("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const remedy = remedyOf(fix, at);

  const act = async (): Promise<void> => {
    if (remedy.kind !== "call") return;
    setState("busy");
    setProblem(null);
    try {
      const upid = await call<unknown>(remedy.method, remedy.path, remedy.params);
      const failed = typeof upid === "string" && upid.startsWith("UPID:") ? await ended(upid) : null;
      soon();
      if (failed) throw failed;
      setState("done");
      if (retry && retry.path !== remedy.path) retry.act(); // what comes of it is shown in the place of the failure
      else onDone?.();
    } catch (raised) {
      setState("");
      setProblem(isProblem(raised) ? raised : problemFrom(raised, saidText(fix.text)));
    }
  };
  const loss = remedy.kind === "call" && remedy.action?.danger ? lossOf(remedy.action) : "";
  const label = retry && remedy.kind === "call" && retry.path !== remedy.path ? t("fix.again", { action: retry.label })
    : remedy.kind === "call" && remedy.action ? labelOf(remedy.action) : t("common.doIt");
  return (
    <li>
      <span>
        <Said text={fix.text} />
      </span>{" "}
      {remedy.kind === "call" && state !== "asked" && (
        <Button size="compact-xs" variant="light" loading={state === "busy"} disabled={state === "done"} title={`${remedy.method} ${remedy.path}`}
          aria-label={`${state === "done" ? t("common.done") : label}: ${saidText(fix.text)}`} onClick={() => (loss ? setState("asked") : void act())}>
          {state === "done" ? t("common.done") : label}
        </Button>
      )}
      {state === "asked" && (
        <>
          <span>{loss}</span>{" "}
          <Button size="compact-xs" color="red" onClick={() => void act()} autoFocus>
            {t("fix.sure")}
          </Button>
        </>
      )}
      {remedy.kind === "view" && <a href={remedy.href}>{t("fix.look")}</a>}
      {remedy.kind === "clone" && at && (
        <Button size="compact-xs" variant="light" onClick={() => openForm("clone", [at])}>
          {t("action.clone")}
        </Button>
      )}
      {remedy.kind === "command" && (
        <>
          <Code>{remedy.text}</Code>{" "}
          <Button size="compact-xs" variant="subtle" onClick={() => void navigator.clipboard.writeText(remedy.text).then(() => setState("done"))}>
            {state === "done" ? t("fix.copied") : t("fix.copy")}
          </Button>
        </>
      )}
      {problem && <ProblemPanel problem={problem} at={at} onClose={() => setProblem(null)} />}
    </li>
  );
}

function isProblem(raised: unknown): raised is Problem {
  return typeof raised === "object" && raised !== null && "code" in raised && "message" in raised && !("problem" in raised);
}
