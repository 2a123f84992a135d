/** The way from a thing to its history. */

import { Button } from "@mantine/core";
import type { ReactNode } from "react";

import { t } from "../../i18n";
import { href } from "../../lib/router";

export function HistoryLink(props: { kind: "user" | "group" | "role" | "pool" | "realm"; name: string }): ReactNode {
  return (
    <Button component="a" size="compact-xs" variant="subtle" href={href("history", props.kind, props.name)} aria-label={t("history.of", { what: props.name })}>
      {t("history.list")}
    </Button>
  );
}
