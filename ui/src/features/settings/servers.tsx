/** Metric servers: where figures are sent, and why that fails, if it does. */

import { Button } from "@mantine/core";
import { type ReactNode, useState } from "react";

import { ask } from "../../api/client";
import { t } from "../../i18n";
import { AskButton } from "../../ui/confirm";
import { useList } from "../../ui/list";
import { Table } from "../../ui/table";
import { EditServer, NewServer } from "./server-form";

export function MetricServers(): ReactNode {
  const { rows, again, error } = useList("GET /cluster/metrics/server", {});
  const [adding, setAdding] = useState(false);
  const [edited, setEdited] = useState<{ id: string; type: string } | null>(null);
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
              title: "", show: ({ id, type }) => (
                <div className="row-actions">
                  <Button size="compact-xs" variant="subtle" onClick={() => setEdited({ id, type })}>
                    {t("common.change")}
                  </Button>
                  <AskButton
                    label={t("settings.removeServer")} onDone={again}
                    question={{
                      title: t("settings.removeServerTitle", { name: id }), loss: t("settings.removeServerLoss"), yes: t("settings.removeServer"),
                      act: () => ask("DELETE /cluster/metrics/server/{id}", { id }),
                    }}
                  />
                </div>
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
      {edited && <EditServer {...edited} onClose={() => { setEdited(null); again(); }} />}
      {adding && <NewServer onClose={() => { setAdding(false); again(); }} />}
    </section>
  );
}
