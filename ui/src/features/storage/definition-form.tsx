/** The forms of a new storage and of one that is there: which keys a type has is `model/storage_types.py`. */

import type { ReactNode } from "react";

import { ask, call } from "../../api/client";
import { t } from "../../i18n";
import { type Asked, changeOf, type Values } from "../../ui/definition";
import { EditDefinition, NewDefinition } from "../../ui/definition-form";

const FILES = ["images", "iso", "import", "snippets", "backup", "vztmpl", "rootdir"];
const IMAGES = ["images"];
const BOTH = ["images", "rootdir"];

/** The kinds that are offered; others (LVM, ZFS) are made by command. */
const TYPES = ["dir", "btrfs", "nfs", "cifs", "rbd", "iscsidirect", "nbd"] as const;

const text = (key: string, label: string, more: Partial<Asked> = {}): Asked => ({ key, label, ...more });
const fixed = (key: string, label: string): Asked => ({ key, label, required: true, fixed: true });

/** The fields of one type beside those that all have. */
function own(type: string): Asked[] {
  switch (type) {
    case "dir": return [fixed("path", t("storage.path")), ...files(), text("shared", t("storage.isShared"), { kind: "flag", initial: "0", more: true })];
    case "btrfs": return [fixed("path", t("storage.path")), ...files(), text("nocow", t("storage.nocow"), { kind: "flag", initial: "0", more: true })];
    case "nfs": return [fixed("server", t("storage.server")), fixed("export", t("storage.export")), text("options", t("storage.options"), { more: true }), ...files()];
    case "cifs": return [
      fixed("server", t("storage.server")), fixed("share", t("storage.share")), text("subdir", t("storage.subdir"), { fixed: true, more: true }),
      text("username", t("storage.username")), text("password", t("storage.password"), { kind: "secret" }), text("domain", t("storage.domain")),
      text("smbversion", t("storage.smbversion"), { kind: "choice", required: true, initial: "default", choices: ["default", "2.0", "2.1", "3", "3.0", "3.11"], more: true }),
      text("options", t("storage.options"), { more: true }), ...files(),
    ];
    case "rbd": return [
      text("monhost", t("storage.monhost")), text("pool", t("storage.pool")), text("namespace", t("storage.namespace"), { more: true }),
      text("data-pool", t("storage.dataPool"), { more: true }), text("username", t("storage.username")), text("keyring", t("storage.keyring"), { kind: "secret" }),
    ];
    case "iscsidirect": return [fixed("portal", t("storage.portal")), fixed("target", t("storage.target"))];
    case "nbd": return [fixed("server", t("storage.server")), text("port", t("storage.port"), { kind: "number", fixed: true })];
    case "zfspool": return [text("sparse", t("storage.sparse"), { kind: "flag", initial: "0" })];
    default: return [];
  }
}

function files(): Asked[] {
  return [
    text("format", t("storage.format"), { kind: "choice", choices: ["qcow2", "raw"], more: true }),
    text("preallocation", t("storage.preallocation"), { kind: "choice", required: true, initial: "metadata", choices: ["off", "metadata", "falloc", "full"], more: true }),
    text("download-hosts", t("storage.downloadHosts"), { kind: "words", joined: true, help: t("storage.downloadHostsHelp"), more: true }),
  ];
}

function contentsOf(type: string): string[] {
  return ["dir", "btrfs", "nfs", "cifs"].includes(type) ? FILES : ["rbd", "lvm", "lvmthin", "zfspool"].includes(type) ? BOTH : IMAGES;
}

function asked(values: Values): Asked[] {
  const type = values["type"] ?? "dir";
  const contents = contentsOf(type);
  return [
    { key: "storage", label: t("storage.id"), required: true, fixed: true },
    { key: "type", label: t("storage.type"), kind: "choice", required: true, fixed: true, initial: "dir", choices: TYPES.map((one) => ({ value: one, label: t(`storage.type_${one}`) })) },
    ...own(type),
    { key: "content", label: t("storage.contents"), kind: "choices", joined: true, required: true, choices: contents, initial: contents.join(",") },
    { key: "reserve", label: t("storage.reserve"), help: t("storage.reserveHelp") },
    { key: "forecast-days", label: t("storage.forecast"), kind: "number", more: true },
    { key: "bwlimit", label: t("storage.bwlimit"), help: t("storage.bwlimitHelp"), more: true },
    { key: "disable", label: t("storage.disabled"), kind: "flag", initial: "0" },
  ];
}

export function NewStorage(props: { onClose: () => void }): ReactNode {
  return (
    <NewDefinition title={t("storage.new")} submit={t("storage.makeIt")} asked={asked} onClose={props.onClose} send={(wish) => call("POST", "/storage", wish.set)} />
  );
}

export function EditStorage(props: { storage: string; onClose: () => void }): ReactNode {
  const { storage } = props;
  return (
    <EditDefinition
      id={["storage", storage]} title={t("storage.editTitle", { storage })} submit={t("storage.change")} onClose={props.onClose} asked={asked}
      load={() => ask("GET /storage/{storage}", { storage })} send={(wish, digest) => call("PUT", `/storage/${storage}`, changeOf(wish, digest))}
    />
  );
}
