/** Who may do what: users with their tokens, groups, roles, the grants that tie them to paths, and why. */

import { Tabs } from "@mantine/core";
import type { ReactNode } from "react";

import { t } from "../../i18n";
import { go, useDrawnPlace } from "../../lib/router";
import { Factors } from "./factors";
import { Grants } from "./grants";
import { Groups } from "./groups";
import { Realms } from "./realms";
import { Roles } from "./roles";
import { Users } from "./users";
import { Why } from "./why";

const VIEWS = ["users", "groups", "grants", "roles", "factors", "realms", "why"] as const;

export default function AccessPage(): ReactNode {
  const view = useDrawnPlace().parts[1] ?? "users";
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
        {view === "factors" && <Factors />}
        {view === "realms" && <Realms />}
        {view === "why" && <Why />}
      </div>
    </section>
  );
}
