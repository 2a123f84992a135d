/** The forms of a new target and of one that is there: what they ask depends on the kind. */

import type { ReactNode } from "react";

import { ask, call } from "../../api/client";
import { t } from "../../i18n";
import { type Asked, changeOf, type Values } from "../../ui/definition";
import { EditDefinition, NewDefinition } from "../../ui/definition-form";

const KINDS = ["sendmail", "smtp", "gotify", "webhook"] as const;
export type Kind = (typeof KINDS)[number];
const PATH = "/cluster/notifications/endpoints";
const BODY = '{"text": "{{ escape title }}: {{ escape message }}"}';

function asked(values: Values, there?: Kind): Asked[] {
  const kind = there ?? (values["kind"] as Kind | undefined) ?? "sendmail";
  return [
    ...(there ? [] : [{ key: "kind", label: t("notifications.kind"), kind: "choice" as const, required: true, initial: "sendmail", choices: KINDS.map((one) => ({ value: one, label: t(`notifications.kind_${one}`) })) }]),
    { key: "name", label: t("notifications.name"), required: true, fixed: true },
    ...OF[kind](there !== undefined),
    { key: "comment", label: t("notifications.comment") },
    { key: "disable", label: t("notifications.disabled"), kind: "flag", initial: "0" },
  ];
}

function mail(more: Asked[]): Asked[] {
  return [
    { key: "mailto", label: t("notifications.mailto"), kind: "words", help: t("notifications.list") },
    { key: "mailto-user", label: t("notifications.mailtoUser"), kind: "words", help: t("notifications.list"), more: true },
    ...more,
    { key: "author", label: t("notifications.author"), more: true },
  ];
}

const hosts = (): Asked => ({ key: "allowed-hosts", label: t("notifications.allowed"), kind: "words", help: t("notifications.list") });

/** The fields of each kind; a new webhook begins with a body that says something. */
const OF: Record<Kind, (there: boolean) => Asked[]> = {
  sendmail: () => mail([{ key: "from-address", label: t("notifications.from") }]),
  smtp: () => [
    { key: "server", label: t("notifications.server"), required: true },
    ...mail([{ key: "from-address", label: t("notifications.from"), required: true }]),
    { key: "mode", label: t("notifications.mode"), kind: "choice", required: true, initial: "tls", choices: ["tls", "starttls", "insecure"] },
    { key: "port", label: t("notifications.port"), kind: "number", more: true },
    { key: "username", label: t("notifications.username") },
    { key: "password", label: t("notifications.password"), kind: "secret" },
  ],
  gotify: () => [
    { key: "server", label: t("notifications.server"), required: true },
    { key: "token", label: t("notifications.token"), kind: "secret", required: true },
    hosts(),
  ],
  webhook: (there) => [
    { key: "url", label: t("notifications.url"), required: true },
    { key: "method", label: t("notifications.method"), kind: "choice", required: true, initial: "post", choices: ["post", "put", "get"] },
    { key: "body", label: t("notifications.body"), kind: "base64", ...(there ? {} : { initial: BODY }), help: t("notifications.bodyHelp", { opening: "{{", closing: "}}" }) },
    { key: "header", label: t("notifications.headers"), kind: "headers", help: t("notifications.headersHelp"), more: true },
    { key: "secret", label: t("notifications.secrets"), kind: "secrets", help: t("notifications.secretsHelp", { opening: "{{", closing: "}}" }), more: true },
    hosts(),
  ],
};

export function NewTarget(props: { onClose: () => void }): ReactNode {
  return (
    <NewDefinition
      title={t("notifications.newTarget")} submit={t("notifications.makeTarget")} asked={asked} onClose={props.onClose}
      send={({ set: { kind, ...set } }) => call("POST", `${PATH}/${String(kind)}`, set)}
    />
  );
}

export function EditTarget(props: { name: string; kind: Kind; onClose: () => void }): ReactNode {
  const { name, kind } = props;
  return (
    <EditDefinition
      id={["target", name]} title={t("notifications.editTarget", { name })} submit={t("common.save")} onClose={props.onClose}
      asked={(values) => asked(values, kind)} load={() => ask(`GET /cluster/notifications/endpoints/${kind}/{name}`, { name })}
      send={(wish, digest) => call("PUT", `${PATH}/${kind}/${name}`, changeOf(wish, digest, true))}
    />
  );
}
