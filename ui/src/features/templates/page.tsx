/** The templates: who came from which state of them, and what live ones share. */

import { Button } from "@mantine/core";
import { useQueries, useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";

import { useForms } from "../../actions/forms";
import { ask } from "../../api/client";
import type { GuestStatus } from "../../api/types";
import { t } from "../../i18n";
import { bytes, time } from "../../lib/format";
import { href, useDrawnPlace } from "../../lib/router";
import { useFollowing } from "../../store/following";
import { type Resource, titleOf, useAll } from "../../store/inventory";
import { Table } from "../../ui/table";
import { type Version, versions } from "./versions";

export default function TemplatesPage(): ReactNode {
  const rows = useAll().filter((row) => row.template === 1);
  const chosen = Number(useDrawnPlace().parts[1]);
  const row = rows.find((one) => one.vmid === chosen);
  return (
    <section className="page">
      <header>
        <h2>{t("templates.title")}</h2>
      </header>
      <div className="page-body">
        <List rows={rows} />
        {row && <Details key={row.id} row={row} />}
        {!row && !!chosen && <p className="hint">{t("templates.missing")}</p>}
      </div>
    </section>
  );
}

function List(props: { rows: readonly Resource[] }): ReactNode {
  const openForm = useForms();
  const asked = useQueries({
    queries: props.rows.map((row) => ({ queryKey: ["status", row.id], queryFn: () => statusOf(row) })),
  });
  useFollowing(["status"], props.rows.map((row) => row.id), 10_000);
  const rows = props.rows.map((row, i) => ({ row, status: asked[i]?.data }));
  return (
    <div className="scroll">
      <Table
        label={t("templates.title")} rows={rows} keyOf={({ row }) => row.id} empty={t("templates.none")}
        columns={[
          { title: t("templates.name"), show: ({ row }) => <a href={href("templates", row.vmid ?? 0)}>{titleOf(row)}</a> },
          { title: t("templates.kind"), show: ({ status }) => (status?.live ? t("templates.live") : t("templates.plain")) },
          { title: t("templates.memory"), show: ({ row, status }) => (status?.live ? t("templates.held", { held: bytes(status["memory-held"]) }) : bytes(row.maxmem)) },
          {
            title: "", show: ({ row }) => (
              <Button size="compact-xs" variant="subtle" onClick={() => openForm("clone", [row])}>
                {t("templates.clone")}
              </Button>
            ),
          },
        ]}
      />
    </div>
  );
}

function Details(props: { row: Resource }): ReactNode {
  const { row } = props;
  const place = { node: row.node ?? "", vmid: row.vmid ?? 0 };
  const clones = useQuery({ queryKey: ["clones", row.id], queryFn: () => ask("GET /nodes/{node}/qemu/{vmid}/clones", place) });
  useFollowing(["clones", row.id], null, 5000);
  const all = useAll();
  const running = all.filter((one) => one.status === "running" && clones.data?.some((clone) => clone.vmid === one.vmid));
  return (
    <section aria-label={t("templates.versions", { name: titleOf(row) })}>
      <h3>{t("templates.versions", { name: titleOf(row) })}</h3>
      <p className="hint">{t("templates.versionsHelp")}</p>
      <div className="scroll">
        <Table<Version>
          label={t("templates.versions", { name: titleOf(row) })} rows={versions(clones.data ?? [])} keyOf={(version) => version.id} empty={t("templates.noClones")}
          columns={[
            { title: t("templates.version"), show: (version) => (version.id ? `${version.id.slice(0, 8)} (${version.current ? t("templates.present") : t("templates.older")})` : t("templates.unknown")) },
            { title: t("templates.first"), show: (version) => time(version.since) },
            { title: t("templates.clones"), show: (version) => version.clones.length },
            {
              title: t("templates.guests"), show: (version) => (
                <ul className="inline">
                  {version.clones.map((clone) => (
                    <li key={clone.vmid}>
                      <a href={href("qemu", clone.vmid)}>{`${clone.vmid} (${clone.name})`}</a>{" "}
                      <span className="hint-line">{clone.linked ? t("templates.linked") : t("templates.whole")}</span>
                    </li>
                  ))}
                </ul>
              ),
            },
          ]}
        />
      </div>
      <Shared rows={running} />
    </section>
  );
}

/** What instant clones that run share with their template. */
function Shared(props: { rows: readonly Resource[] }): ReactNode {
  const asked = useQueries({
    queries: props.rows.map((row) => ({ queryKey: ["status", row.id], queryFn: () => statusOf(row) })),
  });
  useFollowing(["status"], props.rows.map((row) => row.id), 5000);
  const rows = props.rows.flatMap((row, i) => {
    const status = asked[i]?.data;
    return status?.["memory-shared"] === undefined ? [] : [{ row, status }];
  });
  if (!rows.length) return null;
  return (
    <Table
      label={t("templates.shared")} rows={rows} keyOf={({ row }) => row.id} empty=""
      columns={[
        { title: t("templates.guests"), show: ({ row }) => <a href={href("qemu", row.vmid ?? 0)}>{titleOf(row)}</a> },
        { title: t("templates.shared"), show: ({ status }) => t("templates.sharedOf", { shared: bytes(status["memory-shared"]), own: bytes(status["memory-private"]) }) },
      ]}
    />
  );
}

function statusOf(row: Resource): Promise<GuestStatus> {
  return ask("GET /nodes/{node}/qemu/{vmid}/status/current", { node: row.node ?? "", vmid: row.vmid ?? 0 });
}
