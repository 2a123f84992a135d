/** Where an action's form is opened: the shell renders it, whoever offers the action asks for it. */

import { createContext, useContext } from "react";

import type { Resource } from "../store/inventory";

/** `copy` is no action's: it shows actions as text. */
export type FormName = "clone" | "snapshot" | "tag" | "edit" | "template" | "copy";
export type OpenForm = (name: FormName, rows: readonly Resource[]) => void;

export const FormContext = createContext<OpenForm>(() => {});

export function useForms(): OpenForm {
  return useContext(FormContext);
}
