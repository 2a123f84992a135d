/** Where an action's form is opened: the shell renders it, whoever offers the action asks for it. */

import { createContext, useContext } from "react";

import type { Resource } from "../store/inventory";

export type FormName = "clone" | "snapshot";
export type OpenForm = (name: FormName, row: Resource) => void;

export const FormContext = createContext<OpenForm>(() => {});

export function useForms(): OpenForm {
  return useContext(FormContext);
}
