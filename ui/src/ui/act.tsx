/** A button that does one thing at once, and shows the refusal beside it. */

import { Button } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { problemFrom } from "../actions/run";
import type { Problem } from "../api/client";
import { ProblemPanel } from "./problem";

export function ActButton(props: { label: string; act: () => Promise<unknown>; done?: string; hint?: string }): ReactNode {
  const { label, act, done } = props;
  const [busy, setBusy] = useState(false);
  const [said, setSaid] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const start = async (): Promise<void> => {
    setBusy(true);
    setProblem(null);
    setSaid("");
    try {
      await act();
      setSaid(done ?? "");
    } catch (raised) {
      setProblem(problemFrom(raised, label));
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <Button size="compact-xs" variant="subtle" loading={busy} title={props.hint ?? ""} onClick={() => void start()}>
        {label}
      </Button>
      {said && (
        <span role="status" className="good">
          {said}
        </span>
      )}
      {problem && <ProblemPanel problem={problem} onClose={() => setProblem(null)} />}
    </>
  );
}
