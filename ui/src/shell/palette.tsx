/** Ctrl-K: objects and verbs by a few letters. */

import { Modal, TextInput } from "@mantine/core";
import { type KeyboardEvent, type ReactNode, useDeferredValue, useMemo, useState } from "react";

import { ACTIONS, labelOf } from "../actions/registry";
import { run } from "../actions/run";
import { t } from "../i18n";
import { go } from "../lib/router";
import { titleOf, useAll } from "../store/inventory";
import { search } from "../store/search";
import { State } from "../ui/state";
import { placeOf } from "./tree";

const MOST = 12;

interface Entry {
  key: string;
  label: ReactNode;
  act: () => void;
}

export function Palette(props: { onClose: () => void }): ReactNode {
  const rows = useAll();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const words = useDeferredValue(text);
  const entries = useMemo<Entry[]>(() => {
    const [first = "", ...rest] = words.trim().toLowerCase().split(/\s+/);
    const verbs = ACTIONS.filter((action) => !action.danger && !action.form && first && labelOf(action).toLowerCase().startsWith(first));
    const things = search(rows, words).slice(0, MOST);
    return [
      ...verbs.flatMap((action) =>
        search(rows, rest.join(" "))
          .filter(action.fits)
          .slice(0, MOST)
          .map((row) => ({
            key: `${action.id} ${row.id}`,
            label: `${labelOf(action)} ${titleOf(row)}`,
            act: () => void run(action, [row]),
          })),
      ),
      ...things.map((row) => ({
        key: row.id,
        label: (
          <>
            <State row={row} /> {titleOf(row)}
          </>
        ),
        act: () => go(...placeOf(row)),
      })),
    ].slice(0, MOST);
  }, [rows, words]);
  const choose = (entry: Entry | undefined): void => {
    entry?.act();
    props.onClose();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "ArrowDown") setAt(Math.min(at + 1, entries.length - 1));
    else if (event.key === "ArrowUp") setAt(Math.max(at - 1, 0));
    else if (event.key === "Enter") choose(entries[at]);
    else return;
    event.preventDefault();
  };
  return (
    <Modal opened onClose={props.onClose} withCloseButton={false} size="lg" yOffset="10vh" aria-label={t("shell.findName")}>
      <TextInput
        data-autofocus value={text} placeholder={t("shell.findHint")} aria-label={t("shell.findName")}
        onKeyDown={onKeyDown}
        onChange={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
        }}
      />
      <ul className="palette" role="listbox">
        {entries.map((entry, index) => (
          <li key={entry.key} role="option" aria-selected={index === at}>
            <button type="button" tabIndex={-1} onClick={() => choose(entry)}>
              {entry.label}
            </button>
          </li>
        ))}
      </ul>
    </Modal>
  );
}
