/** The forms of actions, one open at a time, each loaded when it is first opened. */

import { lazy, type ReactNode, Suspense, useState } from "react";

import { FormContext, type FormName } from "../actions/forms";
import type { Resource } from "../store/inventory";

const CloneForm = lazy(() => import("../features/guests/clone").then((form) => ({ default: form.CloneForm })));
const SnapshotForm = lazy(() => import("../features/guests/many").then((form) => ({ default: form.SnapshotForm })));
const TagForm = lazy(() => import("../features/guests/many").then((form) => ({ default: form.TagForm })));
const TemplateForm = lazy(() => import("../features/guests/template").then((form) => ({ default: form.TemplateForm })));
const EditForm = lazy(() => import("../features/guests/edit-many").then((form) => ({ default: form.EditForm })));
const CopyAs = lazy(() => import("./copy").then((form) => ({ default: form.CopyAs })));

export function FormLayer(props: { children: ReactNode }): ReactNode {
  const [open, setOpen] = useState<{ name: FormName; rows: readonly Resource[] } | null>(null);
  const close = (): void => setOpen(null);
  const first = open?.rows[0];
  return (
    <FormContext value={(name, rows) => setOpen({ name, rows })}>
      {props.children}
      <Suspense fallback={null}>
        {open?.name === "clone" && first && <CloneForm row={first} onClose={close} />}
        {open?.name === "snapshot" && <SnapshotForm rows={open.rows} onClose={close} />}
        {open?.name === "tag" && <TagForm rows={open.rows} onClose={close} />}
        {open?.name === "template" && <TemplateForm rows={open.rows} onClose={close} />}
        {open?.name === "edit" && <EditForm rows={open.rows} onClose={close} />}
        {open?.name === "copy" && <CopyAs rows={open.rows} onClose={close} />}
      </Suspense>
    </FormContext>
  );
}
