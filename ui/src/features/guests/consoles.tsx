/**
 * The consoles of all guests that were looked at: they live above the views, so that going elsewhere and coming back
 * costs nothing and loses nothing.
 */

import { createContext, lazy, type ReactNode, Suspense, useCallback, useContext, useMemo, useState } from "react";

import { t } from "../../i18n";
import { apiPath, type Resource, useAll } from "../../store/inventory";
import { configOf } from "./api";

const Vnc = lazy(() => import("./vnc"));
const Terminal = lazy(() => import("./terminal"));

interface Consoles {
  show: (row: Resource) => void;
  hide: () => void;
}

const Context = createContext<Consoles>({ show: () => {}, hide: () => {} });

export function useConsoles(): Consoles {
  return useContext(Context);
}

type Kind = "vnc" | "terminal";

export function ConsoleLayer(props: { children: ReactNode }): ReactNode {
  const [open, setOpen] = useState<readonly string[]>([]);
  const [front, setFront] = useState<string | null>(null);
  const [kinds, setKinds] = useState<Record<string, Kind>>({});
  const rows = useAll();

  const show = useCallback((row: Resource) => {
    setOpen((old) => (old.includes(row.id) ? old : [...old, row.id]));
    setFront(row.id);
    void firstKind(row).then((kind) => setKinds((old) => ({ [row.id]: kind, ...old })));
  }, []);
  const hide = useCallback(() => setFront(null), []);
  const consoles = useMemo(() => ({ show, hide }), [show, hide]);
  const alive = open.flatMap((id) => rows.filter((row) => row.id === id && row.status === "running"));

  return (
    <Context.Provider value={consoles}>
      {props.children}
      <div className="console-layer" hidden={front === null}>
        {alive.map((row) => {
          const kind = kinds[row.id];
          if (kind === undefined) return null;
          const Console = kind === "vnc" ? Vnc : Terminal;
          return (
            <section key={`${row.id} ${kind}`} hidden={row.id !== front} className="console" aria-label={t("consoles.of", { vmid: String(row.vmid) })}>
              <header>
                {(["vnc", "terminal"] as const).map((one) => (
                  <button
                    key={one} type="button" aria-pressed={kind === one}
                    onClick={() => setKinds((old) => ({ ...old, [row.id]: one }))}
                  >
                    {t(one === "vnc" ? "consoles.screen" : "consoles.serial")}
                  </button>
                ))}
              </header>
              <Suspense fallback={<p className="hint">…</p>}>
                <Console row={row} />
              </Suspense>
            </section>
          );
        })}
      </div>
    </Context.Provider>
  );
}

/** The screen, or the terminal where the guest has none. */
async function firstKind(row: Resource): Promise<Kind> {
  const config = await configOf(apiPath(row)).catch(() => ({}) as Record<string, string>);
  return /^(none|serial)/.test(String(config["vga"] ?? "")) ? "terminal" : "vnc";
}
