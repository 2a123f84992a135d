/** The keys, from the registry and of the page itself. */

import { Kbd, Modal } from "@mantine/core";
import type { ReactNode } from "react";

import { ACTIONS } from "../actions/registry";

const PAGE: [string, string][] = [
  ["Ctrl+K", "Find a thing, or do something"],
  ["/", "Filter the list"],
  ["↑ ↓", "Go through the tree"],
  ["Ctrl+A", "Choose all in the list"],
  ["c", "The console of the guest that is open"],
  ["?", "This help"],
];

export function KeyboardHelp(props: { onClose: () => void }): ReactNode {
  const actions = ACTIONS.filter((action) => action.key).map((action): [string, string] => [action.key ?? "", action.label]);
  return (
    <Modal opened onClose={props.onClose} title="Keyboard" centered>
      <dl className="keys">
        {[...PAGE, ...actions].map(([key, what]) => (
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
