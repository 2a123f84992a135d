/** A question before something is taken away: what it is, what is lost, and the refusal if there is one. */

import { Button, Group, Modal, Text } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { problemFrom } from "../actions/run";
import type { Problem } from "../api/client";
import { t } from "../i18n";
import { soon } from "../store/feed";
import { ProblemPanel } from "./problem";

export interface Question {
  title: string;
  loss: string;
  yes: string;
  act: () => Promise<unknown>;
}

export function Confirm(props: { question: Question; onClose: () => void }): ReactNode {
  const { question, onClose } = props;
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const act = async (): Promise<void> => {
    setBusy(true);
    setProblem(null);
    try {
      await question.act();
      soon();
      onClose();
    } catch (raised) {
      setProblem(problemFrom(raised, question.title));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal opened onClose={onClose} title={question.title} centered>
      <Text>{question.loss}</Text>
      {problem && <ProblemPanel problem={problem} />}
      <Group justify="flex-end" mt="md">
        <Button variant="default" onClick={onClose}>
          {t("common.keep")}
        </Button>
        <Button color="red" loading={busy} onClick={() => void act()}>
          {question.yes}
        </Button>
      </Group>
    </Modal>
  );
}

/** The button of a row that asks first. */
export function AskButton(props: { label: string; question: Question; onDone?: () => void }): ReactNode {
  const [asked, setAsked] = useState(false);
  return (
    <>
      <Button size="compact-xs" variant="subtle" color="red" onClick={() => setAsked(true)}>
        {props.label}
      </Button>
      {asked && (
        <Confirm
          question={{ ...props.question, act: () => props.question.act().then(() => props.onDone?.()) }} onClose={() => setAsked(false)}
        />
      )}
    </>
  );
}
