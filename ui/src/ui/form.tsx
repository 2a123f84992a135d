/** A drawer with a form that calls the API once: fields, a refusal that is readable, and the end. */

import { Button, Drawer } from "@mantine/core";
import { type FormEvent, type ReactNode, useState } from "react";

import { problemFrom } from "../actions/run";
import type { Problem } from "../api/client";
import { soon } from "../store/feed";
import { ProblemPanel } from "./problem";

export function FormDrawer(props: {
  title: string;
  submit: string;
  onSubmit: () => Promise<void>;
  onClose: () => void;
  wide?: boolean;
  disabled?: boolean;
  children: ReactNode;
}): ReactNode {
  const { title, submit, onSubmit, onClose, children } = props;
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const send = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await onSubmit();
      soon();
      onClose();
    } catch (raised) {
      setProblem(problemFrom(raised, title));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Drawer opened onClose={onClose} position="right" size={props.wide ? "xl" : "md"} title={title}>
      <form onSubmit={(event) => void send(event)} className="form">
        {children}
        {problem && <ProblemPanel problem={problem} />}
        <Button type="submit" loading={busy} disabled={props.disabled ?? false}>
          {submit}
        </Button>
      </form>
    </Drawer>
  );
}
