/** The forms of a new metric server and of one that is there. */

import type { ReactNode } from "react";

import { ask, call } from "../../api/client";
import { t } from "../../i18n";
import { type Asked, changeOf, type Values } from "../../ui/definition";
import { EditDefinition, NewDefinition } from "../../ui/definition-form";

const KINDS = ["graphite", "influxdb"] as const;
type Kind = (typeof KINDS)[number];
const PORTS: Record<Kind, string> = { graphite: "2003", influxdb: "8089" };
const path = (id: string): string => `/cluster/metrics/server/${id}`;

function asked(values: Values): Asked[] {
  const type = (values["type"] ?? "graphite") as Kind;
  return [
    { key: "id", label: t("settings.name"), required: true, fixed: true },
    { key: "type", label: t("settings.kind"), kind: "choice", required: true, fixed: true, initial: "graphite", choices: KINDS },
    { key: "server", label: t("settings.address"), required: true },
    { key: "port", label: t("settings.port"), kind: "number", required: true, initial: PORTS[type] },
    ...(type === "graphite" ? graphite() : influxdb(values)),
    { key: "timeout", label: t("settings.timeout"), kind: "number", more: true },
    { key: "mtu", label: t("settings.mtu"), kind: "number", more: true },
    { key: "disable", label: t("settings.disabled"), kind: "flag", initial: "0" },
  ];
}

function graphite(): Asked[] {
  return [
    { key: "proto", label: t("settings.proto"), kind: "choice", required: true, initial: "udp", choices: ["udp", "tcp"] },
    { key: "path", label: t("settings.prefix"), more: true },
  ];
}

function influxdb(values: Values): Asked[] {
  const way: Asked = { key: "influxdbproto", label: t("settings.proto"), kind: "choice", required: true, initial: "udp", choices: ["udp", "http", "https"] };
  if (!values["influxdbproto"]?.startsWith("http")) return [way];
  return [
    way,
    { key: "organization", label: t("settings.organization") },
    { key: "bucket", label: t("settings.bucket") },
    { key: "token", label: t("settings.token"), kind: "secret" },
    { key: "verify-certificate", label: t("settings.verify"), kind: "flag", initial: "1" },
    { key: "api-path-prefix", label: t("settings.apiPrefix"), more: true },
  ];
}

export function NewServer(props: { onClose: () => void }): ReactNode {
  return (
    <NewDefinition
      title={t("settings.newServer")} submit={t("settings.makeServer")} asked={asked} onClose={props.onClose}
      send={({ set: { id, ...set } }) => call("POST", path(String(id)), set)}
    />
  );
}

export function EditServer(props: { id: string; type: string; onClose: () => void }): ReactNode {
  const { id, type } = props;
  return (
    <EditDefinition
      id={["metric-server", id]} title={t("settings.editServer", { name: id })} submit={t("common.save")} onClose={props.onClose}
      asked={(values) => asked({ ...values, type })} load={() => ask("GET /cluster/metrics/server/{id}", { id })}
      send={(wish, digest) => call("PUT", path(id), changeOf(wish, digest))}
    />
  );
}
