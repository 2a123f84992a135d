/** The view that the address names. What is not needed at once is loaded when it is first opened. */

import { lazy, memo, type ReactNode, Suspense, useDeferredValue } from "react";

import { OverviewPage } from "../features/overview/page";
import { TaskPage, TasksPage } from "../features/tasks/panel";
import { DrawnPlace, usePlace } from "../lib/router";
import { LATER } from "./later";

const GuestPage = lazy(LATER.guest);
const AccessPage = lazy(() => import("../features/access/page"));
const HistoryPage = lazy(() => import("../features/history/page"));
const NodePage = lazy(() => import("../features/node/page"));
const PoolsPage = lazy(() => import("../features/pools/page"));
const SettingsPage = lazy(() => import("../features/settings/page"));
const StoragePage = lazy(() => import("../features/storage/page"));
const NotificationsPage = lazy(() => import("../features/notifications/page"));
const TemplatesPage = lazy(() => import("../features/templates/page"));

export function View(): ReactNode {
  const place = useDeferredValue(usePlace());
  return (
    <DrawnPlace value={place}>
      <Drawn parts={place.parts} />
    </DrawnPlace>
  );
}

const Drawn = memo(function Drawn(props: { parts: readonly string[] }): ReactNode {
  return <Suspense fallback={null}>{viewOf(props.parts)}</Suspense>;
});

function viewOf(parts: readonly string[]): ReactNode {
  const [kind, id = ""] = parts;
  if (kind === "qemu" || kind === "lxc") return <GuestPage key={id} id={`${kind}/${id}`} />;
  if (kind === "node") return <NodePage key={id} node={id} />;
  if (kind === "storage") return <StoragePage key={id} storage={id} />;
  if (kind === "templates") return <TemplatesPage />;
  if (kind === "pools" || kind === "pool") return <PoolsPage />;
  if (kind === "notifications") return <NotificationsPage />;
  if (kind === "access") return <AccessPage />;
  if (kind === "history") return <HistoryPage />;
  if (kind === "settings") return <SettingsPage />;
  if (kind === "tasks") return id ? <TaskPage key={id} upid={id} /> : <TasksPage />;
  return <OverviewPage />;
}
