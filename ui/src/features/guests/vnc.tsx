import RFB from "@novnc/novnc";
import { type ReactNode, useEffect, useRef, useState } from "react";

import { problemFrom } from "../../actions/run";
import type { Problem } from "../../api/client";
import { t } from "../../i18n";
import type { Resource } from "../../store/inventory";
import { ProblemPanel } from "../../ui/problem";
import { offer } from "./socket";

const KEY_MS = 20;

export default function Vnc(props: { row: Resource }): ReactNode {
  const { row } = props;
  const place = useRef<HTMLDivElement>(null);
  const screen = useRef<RFB | null>(null);
  const [turn, setTurn] = useState(0);
  const [ended, setEnded] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);

  useEffect(() => {
    let gone = false;
    setEnded(false);
    setProblem(null);
    offer(row, "vncproxy")
      .then(({ url, offer: made }) => {
        if (gone || !place.current) return;
        const rfb = new RFB(place.current, url, { credentials: { password: made.password ?? made.ticket.slice(0, 8) } });
        rfb.scaleViewport = true;
        rfb.addEventListener("disconnect", () => setEnded(true));
        screen.current = rfb;
      })
      .catch((raised: unknown) => setProblem(problemFrom(raised, t("consoles.screen"))));
    return () => {
      gone = true;
      screen.current?.disconnect();
    };
    // One connection as long as the guest is this one; its figures change all the time.
  }, [row.id, turn]); // oxlint-disable-line

  const paste = async (): Promise<void> => {
    for (const sign of await navigator.clipboard.readText()) {
      screen.current?.sendKey(sign === "\n" ? 0xff0d : keysym(sign), null);
      await new Promise((resolve) => setTimeout(resolve, KEY_MS));
    }
  };
  return (
    <>
      <div className="console-tools">
        <button type="button" onClick={() => screen.current?.sendCtrlAltDel()}>
          {t("consoles.ctrlAltDel")}
        </button>
        <button type="button" onClick={() => void paste()}>
          {t("consoles.paste")}
        </button>
        <button type="button" onClick={() => void place.current?.requestFullscreen()}>
          {t("consoles.full")}
        </button>
        {ended && (
          <button type="button" onClick={() => setTurn(turn + 1)}>
            {t("consoles.again")}
          </button>
        )}
      </div>
      {problem && <ProblemPanel problem={problem} />}
      <div ref={place} className="screen" />
    </>
  );
}

/** X11's number of a character: Latin-1 as it is, the rest in the Unicode range. */
function keysym(sign: string): number {
  const code = sign.codePointAt(0) ?? 0;
  return code < 0x100 ? code : 0x1000000 + code;
}
