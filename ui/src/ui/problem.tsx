/** An error with its five parts: what, why, the line that shows it, and what to do, done by a click where that is known. */

import { Button, Code, Group } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { ApiError, call, type Fix, type Method, type Problem } from "../api/client";
import { t } from "../i18n";
import { soon } from "../store/feed";

export function ProblemPanel(props: {
  problem: Problem;
  title?: string;
  /** The path that `...` stands for in a remedy: of the object that the call was about. */
  base?: string;
  onClose?: () => void;
  onRetry?: () => void;
}): ReactNode {
  const { problem, title, base, onClose, onRetry } = props;
  return (
    <section className="problem" role="alert">
      <header>
        <strong>{title ? `${title}: ${problem.message}` : problem.message}</strong>
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
              <Remedy fix={fix} base={base} />
            </li>
          ))}
        </ul>
      ) : null}
    </section>
  );
}

function Remedy(props: { fix: Fix; base: string | undefined }): ReactNode {
  const { fix, base } = props;
  const known = callOf(fix, base);
  const [state, setState] = useState<"" | "busy" | "done" | Problem>("");
  const act = async (): Promise<void> => {
    if (!known) return;
    setState("busy");
    try {
      await call(known.method, known.path, { ...fix.parameters, ...(known.method === "POST" ? { wait: 10 } : {}) });
      soon();
      setState("done");
    } catch (raised) {
      setState(raised instanceof ApiError ? raised.problem : { code: "page", message: String(raised) });
    }
  };
  return (
    <>
      {fix.text}{" "}
      {fix.action && (
        <Code>
          {fix.action} {Object.entries(fix.parameters ?? {}).map(([k, v]) => `${k}=${v}`).join(" ")}
        </Code>
      )}{" "}
      {known && state !== "done" && (
        <Button size="compact-xs" variant="default" loading={state === "busy"} onClick={() => void act()} aria-label={`${t("common.doIt")}: ${fix.text}`}>
          {t("common.doIt")}
        </Button>
      )}
      {state === "done" && <span className="good" role="status">{t("common.done")}</span>}
      {typeof state === "object" && <ProblemPanel problem={state} />}
    </>
  );
}

/** A remedy that says all it needs, as a call; null for what people have to do or decide. */
export function callOf(fix: Fix, base: string | undefined): { method: Method; path: string } | null {
  const [, method = "", path = ""] = /^(PUT|POST|DELETE) (\S+)$/.exec(fix.action ?? "") ?? [];
  if (!method || /[A-Z]{2,}/.test(Object.values(fix.parameters ?? {}).join(" "))) return null; // a word to be filled in
  const enough = Object.keys(fix.parameters ?? {}).length > 0 || /\/status\/\w+$/.test(path);
  if (!enough) return null;
  if (!path.startsWith("...")) return { method: method as Method, path };
  if (!base) return null;
  const rest = path.slice(3);
  return { method: method as Method, path: (/^\/(qemu|lxc)\//.test(rest) ? base.replace(/\/(qemu|lxc)\/.*/, "") : base) + rest };
}
