/** The keys, from the registry and of the page itself. */

import { Kbd, Modal } from "@mantine/core";
import type { ReactNode } from "react";

import { ACTIONS, labelOf } from "../actions/registry";
import { t } from "../i18n";

type What = `shell.key${"Find" | "Filter" | "Tree" | "All" | "Console" | "Help"}`;

const PAGE: [string, What][] = [
  ["Ctrl+K", "shell.keyFind"],
  ["/", "shell.keyFilter"],
  ["↑ ↓", "shell.keyTree"],
  ["Ctrl+A", "shell.keyAll"],
  ["c", "shell.keyConsole"],
  ["?", "shell.keyHelp"],
];

export function KeyboardHelp(props: { onClose: () => void }): ReactNode {
  const actions = ACTIONS.filter((action) => action.key).map((action): [string, string] => [action.key ?? "", labelOf(action)]);
  return (
    <Modal opened onClose={props.onClose} title={t("shell.keyboard")} centered>
      <dl className="keys">
        {[...PAGE.map(([key, what]): [string, string] => [key, t(what)]), ...actions].map(([key, what]) => (
          <div key={key} style={{ display: "contents" }}>
            <dt>
              <Kbd>{key}</Kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Modal>
  );
}
