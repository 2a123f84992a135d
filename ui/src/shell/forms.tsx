/** The forms of actions, one open at a time. */

import { lazy, type ReactNode, Suspense, useState } from "react";

import { FormContext, type FormName } from "../actions/forms";
import type { Resource } from "../store/inventory";

const CloneForm = lazy(() => import("../features/guests/clone").then((module) => ({ default: module.CloneForm })));

export function FormLayer(props: { children: ReactNode }): ReactNode {
  const [open, setOpen] = useState<{ name: FormName; row: Resource } | null>(null);
  const close = (): void => setOpen(null);
  return (
    <FormContext value={(name, row) => setOpen({ name, row })}>
      {props.children}
      <Suspense fallback={null}>{open?.name === "clone" && <CloneForm row={open.row} onClose={close} />}</Suspense>
    </FormContext>
  );
}
