/** A sentence of the server in the language of the page; English is marked as English, so that it is read out as such. */

import type { ReactNode } from "react";

import { said } from "../i18n";

export function Said(props: { text: string }): ReactNode {
  return said(props.text) ?? <span lang="en">{props.text}</span>;
}

/** The same where only plain text can stand. */
export function saidText(text: string): string {
  return said(text) ?? text;
}
