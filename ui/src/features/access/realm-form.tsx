/** The forms of a new realm and of one that is there: what they ask depends on the kind. */

import type { ReactNode } from "react";

import { ask, call } from "../../api/client";
import type { RealmRow } from "../../api/types";
import { t } from "../../i18n";
import { type Asked, changeOf, type Values } from "../../ui/definition";
import { EditDefinition, NewDefinition } from "../../ui/definition-form";

/** Those that can be made and removed; `pam` and `pve` always are. */
export const KINDS: readonly string[] = ["openid", "ldap", "ad"];
const MODES = ["ldap", "ldap+starttls", "ldaps"];

function asked(values: Values): Asked[] {
  const type = values["type"] ?? "openid";
  return [
    { key: "type", label: t("access.kind"), kind: "choice", fixed: true, required: true, initial: "openid", choices: KINDS.map((one) => ({ value: one, label: t(`access.realm_${one as "ldap"}`) })) },
    { key: "realm", label: t("access.name"), required: true, fixed: true },
    ...(type === "openid" ? openid() : KINDS.includes(type) ? directory(type) : []),
    { key: "comment", label: t("access.comment") },
    { key: "default", label: t("access.proposed"), kind: "flag", initial: "0" },
  ];
}

function openid(): Asked[] {
  return [
    { key: "issuer-url", label: t("access.issuer"), required: true },
    { key: "client-id", label: t("access.client"), required: true },
    { key: "client-key", label: t("access.clientKey"), kind: "secret" },
    { key: "autocreate", label: t("access.autocreate"), kind: "flag", initial: "0" },
    { key: "username-claim", label: t("access.userClaim"), fixed: true, more: true, help: t("access.userClaimHelp") },
    { key: "groups-claim", label: t("access.groupsClaim"), more: true, help: t("access.groupsClaimHelp") },
    { key: "groups-autocreate", label: t("access.groupsMade"), kind: "flag", initial: "0", more: true },
    { key: "groups-overwrite", label: t("access.groupsReplaced"), kind: "flag", initial: "0", more: true },
    { key: "scopes", label: t("access.scopes"), more: true },
    { key: "prompt", label: t("access.prompt"), more: true },
  ];
}

function directory(type: string): Asked[] {
  return [
    { key: "server1", label: t("access.server"), required: true },
    { key: "mode", label: t("access.mode"), kind: "choice", choices: MODES, required: true, initial: "ldap" },
    ...(type === "ad" ? [{ key: "domain", label: t("access.domain"), required: true }] : []),
    { key: "base_dn", label: t("access.base"), required: type === "ldap" },
    ...(type === "ldap" ? [{ key: "user_attr", label: t("access.attribute"), required: true, initial: "uid" }] : []),
    { key: "bind_dn", label: t("access.bind") },
    { key: "password", label: t("access.bindPassword"), kind: "secret" },
    { key: "check-connection", label: t("access.tryFirst"), kind: "flag", initial: "0" },
    { key: "server2", label: t("access.server2"), more: true },
    { key: "port", label: t("access.port"), kind: "number", more: true },
    { key: "verify", label: t("access.verify"), kind: "flag", initial: "0", more: true },
    { key: "filter", label: t("access.userFilter"), more: true },
    { key: "sync_attributes", label: t("access.attributes"), more: true, help: t("access.attributesHelp") },
    { key: "group_dn", label: t("access.groupBase"), more: true },
    { key: "group_filter", label: t("access.groupFilter"), more: true },
    ...synchronization(),
  ];
}

/** What a synchronization does where its call does not say. */
function synchronization(): Asked[] {
  const within = "sync-defaults-options";
  const scopes = (["users", "groups", "both"] as const).map((one) => ({ value: one, label: t(`access.scope_${one}`) }));
  return [
    { key: "scope", label: t("access.syncScope"), kind: "choice", choices: scopes, within, more: true },
    { key: "enable-new", label: t("access.syncEnable"), kind: "flag", initial: "1", within, more: true },
    { key: "remove-vanished", label: t("access.syncVanished"), help: t("access.syncVanishedHelp"), within, more: true },
  ];
}

export function NewRealm(props: { onClose: () => void }): ReactNode {
  return (
    <NewDefinition
      title={t("access.newRealm")} submit={t("access.makeRealm")} asked={asked} onClose={props.onClose} first={{ mode: "ldaps" }}
      send={(wish) => call("POST", "/access/domains", wish.set)}
    />
  );
}

export function EditRealm(props: { row: RealmRow; onClose: () => void }): ReactNode {
  const { realm, type } = props.row;
  return (
    <EditDefinition
      id={["realm", realm]} title={t("access.editRealm", { realm })} submit={t("access.save")} onClose={props.onClose}
      asked={(values) => asked({ ...values, type })} load={() => ask("GET /access/domains/{realm}", { realm })}
      send={(wish, digest) => call("PUT", `/access/domains/${realm}`, changeOf(wish, digest))}
    />
  );
}
