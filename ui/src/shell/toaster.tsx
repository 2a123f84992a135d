/** Where toasts stand: over the page's lower corner, read out by screen readers. */

import { Button, CloseButton } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { problemFrom } from "../actions/run";
import type { Problem } from "../api/client";
import { t } from "../i18n";
import { drop, type Toast, useToasts } from "../store/toasts";
import { ProblemPanel } from "../ui/problem";

export function Toaster(): ReactNode {
  const toasts = useToasts();
  return (
    <section className="toasts" role="status" aria-label={t("shell.toasts")}>
      {toasts.map((one) => (
        <Line key={one.key} toast={one} />
      ))}
    </section>
  );
}

function Line(props: { toast: Toast }): ReactNode {
  const { toast } = props;
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const back = async (): Promise<void> => {
    setBusy(true);
    try {
      await toast.undo?.();
      drop(toast);
    } catch (raised) {
      setProblem(problemFrom(raised, toast.text));
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="toast">
      <span>{toast.text}</span>
      {toast.undo && (
        <Button size="compact-xs" variant="default" loading={busy} onClick={() => void back()}>
          {t("shell.undo")}
        </Button>
      )}
      <CloseButton size="xs" aria-label={t("common.close")} onClick={() => drop(toast)} />
      {problem && <ProblemPanel problem={problem} />}
    </div>
  );
}
