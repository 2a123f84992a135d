/** The page around everything: head, tree, the view that the address names, failures, tasks. */

import { Button, Group } from "@mantine/core";
import { lazy, type ReactNode, Suspense, useEffect, useState, useSyncExternalStore } from "react";

import { Batches } from "../actions/batches";
import type { Session } from "../api/session";
import { TaskList } from "../features/tasks/panel";
import { t, useLanguage } from "../i18n";
import { href, onPlace } from "../lib/router";
import { isReachable, onReachable, start } from "../store/feed";
import { inventory, useLoaded, useNode } from "../store/inventory";
import { prepare } from "../store/search";
import { fetchLater, LATER } from "./later";
import { Places } from "./places";
import { Toaster } from "./toaster";
import { Tree } from "./tree";
import { View } from "./view";

const CreateGuest = lazy(() => import("../features/guests/create").then((form) => ({ default: form.CreateGuest })));
const KeyboardHelp = lazy(() => import("./keyboard").then((help) => ({ default: help.KeyboardHelp })));
const Palette = lazy(LATER.palette);
const UserMenu = lazy(LATER.user);

export function Shell(props: { session: Session; onLogout: () => void }): ReactNode {
  const [palette, setPalette] = useState(false);
  const [creating, setCreating] = useState(false);
  const [help, setHelp] = useState(false);
  const [narrowTree, setNarrowTree] = useState(false);
  const reachable = useSyncExternalStore(onReachable, isReachable);
  const node = useNode();
  const loaded = useLoaded();

  useLanguage();
  useEffect(start, []);
  useEffect(() => (loaded ? fetchLater() : undefined), [loaded]);
  useEffect(() => (loaded ? prepare(inventory.all()) : undefined), [loaded]);
  useEffect(() => onPlace(() => setNarrowTree(false)), []);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const typing = (event.target as HTMLElement).closest("input, textarea, select, .console-layer");
      if ((event.ctrlKey || event.metaKey) && (event.key === "k" || event.key === " ")) setPalette(true);
      else if (event.key === "?" && !typing) setHelp(true);
      else if (event.key === "/" && !typing) document.querySelector<HTMLElement>("[data-filter]")?.focus();
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);

  return (
    <div className="shell">
      <header className="head">
        <button type="button" className="tree-button" aria-label={t("shell.inventory")} onClick={() => setNarrowTree(!narrowTree)}>
          ☰
        </button>
        <a href={href()} className="brand">
          Tarmac
        </a>
        <Button size="compact-sm" variant="default" onClick={() => setPalette(true)}>
          {t("shell.find")} <kbd>Ctrl K</kbd>
        </Button>
        <Group gap={6} ml="auto">
          <Button size="compact-sm" onClick={() => setCreating(true)}>
            {t("shell.newGuest")}
          </Button>
          <Suspense
            fallback={
              <Button size="compact-sm" variant="default">
                {props.session.username}
              </Button>
            }
          >
            <UserMenu name={props.session.username} onHelp={() => setHelp(true)} onLogout={props.onLogout} />
          </Suspense>
        </Group>
      </header>
      {!reachable && (
        <p className="banner" role="status">
          {t("shell.unreachable")}
        </p>
      )}
      <div className={narrowTree ? "middle with-tree" : "middle"}>
        <nav className="tree" aria-label={t("shell.inventory")}>
          <Tree />
          <Places />
        </nav>
        <main className="view">
          <Batches />
          <View />
        </main>
      </div>
      <footer className="tasks" aria-label={t("tasks.list")}>
        {node && <TaskList node={node} />}
      </footer>
      <Toaster />
      <Suspense fallback={null}>
        {palette && <Palette onClose={() => setPalette(false)} />}
        {help && <KeyboardHelp onClose={() => setHelp(false)} />}
        {creating && <CreateGuest onClose={() => setCreating(false)} />}
      </Suspense>
    </div>
  );
}
