/** The forms of a new matcher and of one that is there. */

import type { ReactNode } from "react";

import { ask, call } from "../../api/client";
import { t } from "../../i18n";
import { type Asked, changeOf } from "../../ui/definition";
import { EditDefinition, NewDefinition } from "../../ui/definition-form";
import { useList } from "../../ui/list";

const PATH = "/cluster/notifications/matchers";

/** With the targets that there are. */
function useAsked(): () => Asked[] {
  const targets = useList("GET /cluster/notifications/targets", {});
  return () => [
    { key: "name", label: t("notifications.name"), required: true, fixed: true },
    { key: "target", label: t("notifications.to"), kind: "choices", required: true, choices: targets.rows.map((target) => target.name) },
    { key: "match-severity", label: t("notifications.severities"), kind: "lines", help: t("notifications.severitiesHelp") },
    { key: "match-field", label: t("notifications.fields"), kind: "lines", help: t("notifications.fieldsHelp") },
    { key: "match-calendar", label: t("notifications.calendar"), kind: "lines", help: t("notifications.calendarHelp"), more: true },
    {
      key: "mode", label: t("notifications.rules"), kind: "choice", required: true, initial: "all", more: true,
      choices: [{ value: "all", label: t("notifications.rules_all") }, { value: "any", label: t("notifications.rules_any") }],
    },
    { key: "invert-match", label: t("notifications.invert"), kind: "flag", initial: "0", more: true },
    { key: "comment", label: t("notifications.comment") },
    { key: "disable", label: t("notifications.disabled"), kind: "flag", initial: "0" },
  ];
}

export function NewMatcher(props: { onClose: () => void }): ReactNode {
  return (
    <NewDefinition
      title={t("notifications.newMatcher")} submit={t("notifications.makeMatcher")} asked={useAsked()} onClose={props.onClose}
      first={{ "match-severity": "error" }} send={(wish) => call("POST", PATH, wish.set)}
    />
  );
}

export function EditMatcher(props: { name: string; onClose: () => void }): ReactNode {
  const { name } = props;
  return (
    <EditDefinition
      id={["matcher", name]} title={t("notifications.editMatcher", { name })} submit={t("common.save")} asked={useAsked()} onClose={props.onClose}
      load={() => ask("GET /cluster/notifications/matchers/{name}", { name })} send={(wish, digest) => call("PUT", `${PATH}/${name}`, changeOf(wish, digest, true))}
    />
  );
}
