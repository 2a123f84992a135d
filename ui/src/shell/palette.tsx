/** Ctrl-K: objects and verbs by a few letters. */

import { type KeyboardEvent, type ReactNode, useLayoutEffect, useMemo, useRef, useState } from "react";

import { ACTIONS, labelOf } from "../actions/registry";
import { run } from "../actions/run";
import { t } from "../i18n";
import { go } from "../lib/router";
import { inventory, type Resource, titleOf, useResource, useVersion } from "../store/inventory";
import { firstOf } from "../store/search";
import { State } from "../ui/state";
import { placeOf } from "./tree";

const MOST = 12;

const PAUSE_MS = 1000; // until rows that came, went or changed their names are looked for

interface Entry {
  key: string;
  label: ReactNode;
  act: () => void;
}

export function Palette(props: { onClose: () => void }): ReactNode {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const version = useVersion(["name", "status", "tags"], PAUSE_MS);
  // At once: who presses Enter means what fits the words as they are.
  const entries = useMemo(() => entriesOf(inventory.all(), text), [version, text]);
  // The browser's own dialog: it stands in the frame of the key that asked for it, so no letter typed after that is lost.
  const box = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const dialog = box.current;
    dialog?.showModal();
    return () => dialog?.close(); // what had the focus has it again
  }, []);
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
    <dialog ref={box} className="finder" aria-label={t("shell.findName")} onCancel={props.onClose} onClick={(event) => event.target === box.current && props.onClose()}>
      <input
        type="text" autoFocus value={text} placeholder={t("shell.findHint")} aria-label={t("shell.findName")}
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
    </dialog>
  );
}

function entriesOf(rows: readonly Resource[], text: string): Entry[] {
  const [first = "", ...rest] = text.trim().toLowerCase().split(/\s+/);
  const verbs = ACTIONS.filter((action) => !action.danger && !action.form && first && labelOf(action).toLowerCase().startsWith(first));
  const done = verbs.flatMap((action) =>
    firstOf(rows, rest.join(" "), MOST, action.fits).map((row) => ({
      key: `${action.id} ${row.id}`,
      label: `${labelOf(action)} ${titleOf(row)}`,
      act: () => void run(action, [inventory.get(row.id) ?? row]),
    })),
  );
  const things = firstOf(rows, text, MOST).map((row) => ({ key: row.id, label: <Thing row={row} />, act: () => go(...placeOf(row)) }));
  return [...done, ...things].slice(0, MOST);
}

function Thing(props: { row: Resource }): ReactNode {
  const row = useResource(props.row.id) ?? props.row;
  return (
    <>
      <State row={row} /> {titleOf(row)}
    </>
  );
}
