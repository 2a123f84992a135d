/** An error with its five parts: what, why, the line that shows it, and what to do, which is a click where it can be. */

import { Button, Code, Group } from "@mantine/core";
import type { ReactNode } from "react";

import type { Problem } from "../api/client";
import { t } from "../i18n";
import type { Resource } from "../store/inventory";
import { FixLine, type Retry } from "./fix";
import { Said } from "./said";

/** The evidence of bad input is often just what its parameters' texts say. */
function saidAbove(problem: Problem): boolean {
  const texts = Object.entries(problem.errors ?? {}).map(([key, text]) => `${key}: ${text}`);
  return texts.length > 0 && problem.evidence === texts.join("\n");
}

export function ProblemPanel(props: {
  problem: Problem;
  title?: string;
  /** What the error is about. */
  at?: Resource | undefined;
  retry?: Retry | undefined;
  onClose?: () => void;
  onRetry?: () => void;
}): ReactNode {
  const { problem, title, at, retry, onClose, onRetry } = props;
  return (
    <section className="problem" role="alert">
      <header>
        <strong>
          {title ? `${title}: ` : ""}
          <Said text={problem.message} />
        </strong>
        <Group gap={4} wrap="nowrap">
          {onRetry && (
            <Button size="compact-xs" variant="default" onClick={onRetry}>
              {t("common.again")}
            </Button>
          )}
          {onClose && (
            <Button size="compact-xs" variant="subtle" onClick={onClose}>
              {t("common.dismiss")}
            </Button>
          )}
        </Group>
      </header>
      {problem.cause && (
        <p>
          {t("common.why")} <Said text={problem.cause} />
        </p>
      )}
      {Object.entries(problem.errors ?? {}).map(([key, text]) => (
        <p key={key}>
          <Code>{key}</Code> <Said text={text} />
        </p>
      ))}
      {problem.evidence && !saidAbove(problem) && <Code block>{problem.evidence}</Code>}
      {problem.fixes?.length ? (
        <ul className="fixes">
          {problem.fixes.map((fix) => (
            <FixLine key={fix.text} fix={fix} at={at} retry={retry} onDone={onClose} />
          ))}
        </ul>
      ) : null}
    </section>
  );
}
