/** Who may do what: users with their tokens, groups, roles, the grants that tie them to paths, and why. */

import { Tabs } from "@mantine/core";
import type { ReactNode } from "react";

import { t } from "../../i18n";
import { go, usePlace } from "../../lib/router";
import { useList } from "../../ui/list";
import { Table } from "../../ui/table";
import { Grants } from "./grants";
import { Groups } from "./groups";
import { Roles } from "./roles";
import { Users } from "./users";
import { Why } from "./why";

const VIEWS = ["users", "groups", "grants", "roles", "realms", "why"] as const;

export default function AccessPage(): ReactNode {
  const view = usePlace().parts[1] ?? "users";
  return (
    <section className="page">
      <header>
        <h2>{t("access.title")}</h2>
      </header>
      <Tabs value={view} onChange={(next) => go("access", next ?? "users")}>
        <Tabs.List>
          {VIEWS.map((one) => (
            <Tabs.Tab key={one} value={one}>
              {t(`access.view_${one}`)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
      </Tabs>
      <div className="page-body">
        {view === "users" && <Users />}
        {view === "groups" && <Groups />}
        {view === "grants" && <Grants />}
        {view === "roles" && <Roles />}
        {view === "realms" && <Realms />}
        {view === "why" && <Why />}
      </div>
    </section>
  );
}

function Realms(): ReactNode {
  const { rows } = useList("GET /access/domains", {});
  return (
    <Table
      label={t("access.view_realms")} rows={rows} keyOf={(realm) => realm.realm} empty={t("access.noRealms")}
      columns={[
        { title: t("access.realm"), show: (realm) => realm.realm },
        { title: t("access.kind"), show: (realm) => realm.type },
        { title: t("access.comment"), show: (realm) => realm.comment },
      ]}
    />
  );
}
