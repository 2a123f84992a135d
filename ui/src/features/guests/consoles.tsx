/**
 * The consoles of all guests that were looked at: they live above the views, so that going elsewhere and coming back
 * costs nothing and loses nothing.
 */

import { createContext, lazy, type ReactNode, Suspense, useCallback, useContext, useEffect, useMemo, useRef, useState } from "react";

import { t } from "../../i18n";
import { apiPath, type Resource, useResource } from "../../store/inventory";
import { configOf } from "./api";

const Vnc = lazy(() => import("./vnc"));
const Terminal = lazy(() => import("./terminal"));

interface Consoles {
  show: (row: Resource) => void;
  hide: () => void;
  /** Where the view has left room for them. */
  put: (room: DOMRect) => void;
}

const Context = createContext<Consoles>({ show: () => {}, hide: () => {}, put: () => {} });

export function useConsoles(): Consoles {
  return useContext(Context);
}

/** The room in the view over which the consoles lie. */
export function ConsoleRoom(): ReactNode {
  const { put } = useConsoles();
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const room = place.current;
    if (!room) return undefined;
    const measure = (): void => put(room.getBoundingClientRect());
    const seen = new ResizeObserver(measure);
    seen.observe(room);
    addEventListener("scroll", measure, true);
    return () => {
      seen.disconnect();
      removeEventListener("scroll", measure, true);
    };
  }, [put]);
  return <div className="console-room" ref={place} />;
}

type Kind = "vnc" | "terminal";

export function ConsoleLayer(props: { children: ReactNode }): ReactNode {
  const [open, setOpen] = useState<readonly string[]>([]);
  const [front, setFront] = useState<string | null>(null);
  const [kinds, setKinds] = useState<Record<string, Kind>>({});
  const [room, put] = useState<DOMRect | null>(null);

  const show = useCallback((row: Resource) => {
    setOpen((old) => (old.includes(row.id) ? old : [...old, row.id]));
    setFront(row.id);
    void firstKind(row).then((kind) => setKinds((old) => ({ [row.id]: kind, ...old })));
  }, []);
  const hide = useCallback(() => setFront(null), []);
  const consoles = useMemo(() => ({ show, hide, put }), [show, hide]);

  return (
    <Context.Provider value={consoles}>
      {props.children}
      <div className="console-layer" hidden={front === null || !room} style={room ? { top: room.top, left: room.left, width: room.width, height: room.height } : {}}>
        {open.map((id) => {
          const kind = kinds[id];
          if (kind === undefined) return null;
          return <Console key={`${id} ${kind}`} id={id} kind={kind} hidden={id !== front} onKind={(one) => setKinds((old) => ({ ...old, [id]: one }))} />;
        })}
      </div>
    </Context.Provider>
  );
}

/** A console as long as its guest runs. */
function Console(props: { id: string; kind: Kind; hidden: boolean; onKind: (kind: Kind) => void }): ReactNode {
  const { id, kind, hidden, onKind } = props;
  const row = useResource(id);
  if (row?.status !== "running") return null;
  const Shown = kind === "vnc" ? Vnc : Terminal;
  return (
    <section hidden={hidden} className="console" aria-label={t("consoles.of", { vmid: String(row.vmid) })}>
      <header>
        {(["vnc", "terminal"] as const).map((one) => (
          <button key={one} type="button" aria-pressed={kind === one} onClick={() => onKind(one)}>
            {t(one === "vnc" ? "consoles.screen" : "consoles.serial")}
          </button>
        ))}
      </header>
      <Suspense fallback={<p className="hint">…</p>}>
        <Shown row={row} />
      </Suspense>
    </section>
  );
}

/** The screen, or the terminal where the guest has none. */
async function firstKind(row: Resource): Promise<Kind> {
  const config = await configOf(apiPath(row)).catch(() => ({}) as Record<string, string>);
  return /^(none|serial)/.test(String(config["vga"] ?? "")) ? "terminal" : "vnc";
}
