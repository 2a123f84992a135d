/** An error with its five parts: what, why, the line that shows it, and what to do. */

import { Button, Code } from "@mantine/core";
import type { ReactNode } from "react";

import type { Problem } from "../api/client";
import { t } from "../i18n";

export function ProblemPanel(props: { problem: Problem; title?: string; onClose?: () => void }): ReactNode {
  const { problem, title, onClose } = props;
  return (
    <section className="problem" role="alert">
      <header>
        <strong>{title ? `${title}: ${problem.message}` : problem.message}</strong>
        {onClose && (
          <Button size="compact-xs" variant="subtle" onClick={onClose}>
            {t("common.dismiss")}
          </Button>
        )}
      </header>
      {problem.cause && <p>{t("common.why", { cause: problem.cause })}</p>}
      {Object.entries(problem.errors ?? {}).map(([key, text]) => (
        <p key={key}>
          <Code>{key}</Code> {text}
        </p>
      ))}
      {problem.evidence && <Code block>{problem.evidence}</Code>}
      {problem.fixes?.length ? (
        <ul>
          {problem.fixes.map((fix) => (
            <li key={fix.text}>
              {fix.text}
              {fix.action && (
                <>
                  {" "}
                  <Code>
                    {fix.action} {Object.entries(fix.parameters ?? {}).map(([k, v]) => `${k}=${v}`).join(" ")}
                  </Code>
                </>
              )}
            </li>
          ))}
        </ul>
      ) : null}
    </section>
  );
}
