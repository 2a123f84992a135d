/** Metric servers: where figures are sent, and why that fails, if it does. */

import { Button, NumberInput, PasswordInput, Select, TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { ask } from "../../api/client";
import { t } from "../../i18n";
import { AskButton } from "../../ui/confirm";
import { FormDrawer } from "../../ui/form";
import { useList } from "../../ui/list";
import { Table } from "../../ui/table";

const KINDS = ["graphite", "influxdb"] as const;
const PORTS: Record<Kind, number> = { graphite: 2003, influxdb: 8089 };
const WAYS: Record<Kind, readonly string[]> = { graphite: ["udp", "tcp"], influxdb: ["udp", "http", "https"] };
type Kind = (typeof KINDS)[number];

export function MetricServers(): ReactNode {
  const { rows, again, error } = useList("GET /cluster/metrics/server", {});
  const [adding, setAdding] = useState(false);
  if (error) return null; // who may not see them has no such section
  return (
    <section>
      <h3>{t("settings.servers")}</h3>
      <p className="hint">{t("settings.serversHelp")}</p>
      <div className="scroll">
        <Table
          label={t("settings.servers")} rows={rows} keyOf={(server) => server.id} empty={t("settings.noServers")}
          columns={[
            { title: t("settings.name"), show: (server) => server.id },
            { title: t("settings.kind"), show: (server) => server.type },
            { title: t("settings.address"), show: (server) => `${server.server}:${server.port}` },
            { title: t("settings.state"), show: (server) => (server.disable ? t("settings.off") : (server.problem ?? t("settings.fine"))) },
            {
              title: "", show: ({ id }) => (
                <AskButton
                  label={t("settings.removeServer")} onDone={again}
                  question={{
                    title: t("settings.removeServerTitle", { name: id }), loss: t("settings.removeServerLoss"), yes: t("settings.removeServer"),
                    act: () => ask("DELETE /cluster/metrics/server/{id}", { id }),
                  }}
                />
              ),
            },
          ]}
        />
      </div>
      <p>
        <Button size="compact-sm" onClick={() => setAdding(true)}>
          {t("settings.newServer")}
        </Button>
      </p>
      {adding && <NewServer onClose={() => { setAdding(false); again(); }} />}
    </section>
  );
}

function NewServer(props: { onClose: () => void }): ReactNode {
  const [form, setForm] = useState({ id: "", type: "graphite" as Kind, server: "", port: PORTS.graphite, proto: "udp", organization: "", bucket: "", token: "" });
  const set = (change: Partial<typeof form>): void => setForm((old) => ({ ...old, ...change }));
  const http = form.proto.startsWith("http");
  const submit = async (): Promise<void> => {
    const { id, type, server, port, proto } = form;
    const more = http ? { organization: form.organization || undefined, bucket: form.bucket || undefined, token: form.token || undefined } : {};
    const way = type === "graphite" ? { proto: proto as "udp" } : { influxdbproto: proto as "udp" };
    await ask("POST /cluster/metrics/server/{id}", { id, type, server, port, ...way, ...more });
  };
  return (
    <FormDrawer title={t("settings.newServer")} submit={t("settings.makeServer")} onSubmit={submit} onClose={props.onClose}>
      <TextInput label={t("settings.name")} required value={form.id} onChange={(e) => set({ id: e.currentTarget.value })} data-autofocus />
      <Select label={t("settings.kind")} data={KINDS} value={form.type} allowDeselect={false} onChange={(type) => set({ type: type as Kind, port: PORTS[type as Kind], proto: "udp" })} />
      <TextInput label={t("settings.address")} required value={form.server} onChange={(e) => set({ server: e.currentTarget.value })} />
      <NumberInput label={t("settings.port")} required min={1} max={65535} value={form.port} onChange={(port) => set({ port: Number(port) })} />
      <Select label={t("settings.proto")} data={WAYS[form.type]} value={form.proto} allowDeselect={false} onChange={(proto) => set({ proto: proto ?? "udp" })} />
      {http && (
        <>
          <TextInput label={t("settings.organization")} value={form.organization} onChange={(e) => set({ organization: e.currentTarget.value })} />
          <TextInput label={t("settings.bucket")} value={form.bucket} onChange={(e) => set({ bucket: e.currentTarget.value })} />
          <PasswordInput label={t("settings.token")} autoComplete="off" value={form.token} onChange={(e) => set({ token: e.currentTarget.value })} />
        </>
      )}
    </FormDrawer>
  );
}
