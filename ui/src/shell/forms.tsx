/** The forms of actions, one open at a time. */

import { type ReactNode, useState } from "react";

import { FormContext, type FormName } from "../actions/forms";
import { CloneForm } from "../features/guests/clone";
import type { Resource } from "../store/inventory";

export function FormLayer(props: { children: ReactNode }): ReactNode {
  const [open, setOpen] = useState<{ name: FormName; row: Resource } | null>(null);
  const close = (): void => setOpen(null);
  return (
    <FormContext value={(name, row) => setOpen({ name, row })}>
      {props.children}
      {open?.name === "clone" && <CloneForm row={open.row} onClose={close} />}
    </FormContext>
  );
}
