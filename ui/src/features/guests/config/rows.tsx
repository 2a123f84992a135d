/** A group of settings as lines: what is, what waits for a reboot (and can be given up), and the form in its place. */

import { Button, Group } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { problemFrom } from "../../../actions/run";
import type { Problem } from "../../../api/client";
import { t } from "../../../i18n";
import { ProblemPanel } from "../../../ui/problem";
import { saidText } from "../../../ui/said";
import type { Pending } from "../api";
import { EditKey } from "./edit";
import { find, type Option, titleOf } from "./option";
import { When } from "./outlook";
import { type Config, revert } from "./use";

/** The keys of an option that stand in the configuration; a plain option has its line also when it is not set. */
export function keysOf(option: Option, config: Config): string[] {
  if (option.count === undefined) return [option.name];
  return [...config.rows.keys()]
    .filter((key) => find(key)?.option === option)
    .sort((a, b) => (find(a)?.index ?? 0) - (find(b)?.index ?? 0));
}

export function SettingRow(props: {
  name: string;
  path: string;
  node: string;
  config: Config;
  /** Further verbs of this line, and the form that one of them opened. */
  verbs?: ReactNode;
  form?: ReactNode;
}): ReactNode {
  const { name, path, node, config } = props;
  const [editing, setEditing] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const row = config.rows.get(name);
  const option = find(name)?.option;
  const giveUp = async (): Promise<void> => {
    setProblem(null);
    try {
      await revert(path, name);
      config.again();
    } catch (raised) {
      setProblem(problemFrom(raised, titleOf(name)));
    }
  };
  return (
    <li className="setting" aria-label={titleOf(name)}>
      <span className="setting-name">{titleOf(name)}</span>
      <span className={row?.value === undefined ? "setting-value unset" : "setting-value"}>
        {row?.value !== undefined ? valueText(row, option) : usualText(option)}
        {waits(row) && (
          <span className="pending">
            <When at="reboot" /> {row?.delete ? t("config.removed") : String(row?.pending)}
            <Button size="compact-xs" variant="subtle" onClick={() => void giveUp()} aria-label={t("config.revertKey", { what: titleOf(name) })}>
              {t("config.revert")}
            </Button>
          </span>
        )}
      </span>
      <Group gap={4} className="setting-verbs">
        {props.verbs}
        {option && !option.name.startsWith("unused") && (
          <Button size="compact-xs" variant="subtle" aria-expanded={editing} onClick={() => setEditing(!editing)} aria-label={t("config.changeKey", { what: titleOf(name) })}>
            {t("common.change")}
          </Button>
        )}
      </Group>
      {problem && <ProblemPanel problem={problem} />}
      {props.form}
      {editing && <EditKey path={path} node={node} name={name} config={config} onClose={() => setEditing(false)} />}
    </li>
  );
}

function waits(row: Pending | undefined): boolean {
  return row !== undefined && (row.pending !== undefined || Boolean(row.delete));
}

function valueText(row: Pending, option: Option | undefined): string {
  const text = String(row.value);
  if (option?.kind === "boolean") return text === "1" ? t("common.yes") : t("common.no");
  if (option?.name === "sshkeys") return decodeURIComponent(text);
  const unit = option?.unit ?? (option?.name === "memory" && /^\d+$/.test(text) ? "MiB" : "");
  return unit ? `${text} ${unit}` : text;
}

function usualText(option: Option | undefined): string {
  const usual = option?.default;
  if (usual === undefined || usual === "") return "–";
  return t("config.usual", { value: typeof usual === "boolean" ? (usual ? t("common.yes") : t("common.no")) : saidText(String(usual)) });
}
