/** One guest: its head with the actions, and its views. */

import { Tabs } from "@mantine/core";
import { lazy, memo, type ReactNode, Suspense, useEffect } from "react";

import { ActionBar } from "../../actions/menu";
import { t } from "../../i18n";
import { go, useDrawnPlace, usePlace } from "../../lib/router";
import { inventory, titleOf, useLoaded, useResource } from "../../store/inventory";
import { State } from "../../ui/state";
import { TaskList } from "../tasks/panel";
import { ConsoleRoom, useConsoles } from "./consoles";
import { Summary } from "./summary";

const Hardware = lazy(() => import("./config/screen").then((screen) => ({ default: screen.Hardware })));
const Options = lazy(() => import("./config/screen").then((screen) => ({ default: screen.Options })));
const CloudInit = lazy(() => import("./config/screen").then((screen) => ({ default: screen.CloudInit })));
const History = lazy(() => import("./history").then((tab) => ({ default: tab.History })));
const Permissions = lazy(() => import("./permissions").then((tab) => ({ default: tab.Permissions })));
const Snapshots = lazy(() => import("./snapshots").then((tab) => ({ default: tab.Snapshots })));

const VIEWS = ["summary", "console", "hardware", "options", "cloudinit", "snapshots", "history", "permissions", "tasks"] as const;

export function GuestPage(props: { id: string }): ReactNode {
  const row = useResource(props.id);
  const loaded = useLoaded();
  const view = useDrawnPlace().parts[2] ?? "summary";
  const consoles = useConsoles();
  const running = row?.status === "running";
  useEffect(() => {
    const shown = inventory.get(props.id);
    if (view !== "console" || !running || !shown) return undefined;
    consoles.show(shown);
    return consoles.hide;
  }, [view, running, props.id, consoles]);
  if (!row) return <p className="hint">{loaded ? t("guests.missing") : ""}</p>;
  return (
    <section className="page">
      <header>
        <h2>
          <State row={row} /> {titleOf(row)}
        </h2>
        <ActionBar rows={[row]} keys />
      </header>
      <ViewTabs vmid={row.vmid ?? 0} />
      <div className="page-body">
        {view === "summary" && <Summary row={row} />}
        {view === "console" && (running ? <ConsoleRoom /> : <p className="hint">{t("guests.consoleLater")}</p>)}
        <Suspense fallback={null}>
          {view === "hardware" && <Hardware row={row} />}
          {view === "options" && <Options row={row} />}
          {view === "cloudinit" && <CloudInit row={row} />}
          {view === "history" && <History row={row} />}
          {view === "permissions" && <Permissions row={row} />}
          {view === "snapshots" && <Snapshots row={row} running={running} />}
        </Suspense>
        {view === "tasks" && <TaskList node={row.node ?? ""} vmid={row.vmid ?? 0} />}
      </div>
    </section>
  );
}

/** They show at once which was chosen. */
const ViewTabs = memo(function ViewTabs(props: { vmid: number }): ReactNode {
  const { parts } = usePlace();
  const view = useDrawnPlace().parts[2];
  const chosen = parts[1] === String(props.vmid) ? parts[2] : view;
  return (
    <Tabs value={chosen ?? "summary"} onChange={(next) => go("qemu", props.vmid, next ?? "summary")}>
      <Tabs.List>
        {VIEWS.map((one) => (
          <Tabs.Tab key={one} value={one}>
            {t(`guests.view_${one}`)}
          </Tabs.Tab>
        ))}
      </Tabs.List>
    </Tabs>
  );
});
