import "@xterm/xterm/css/xterm.css";

import { FitAddon } from "@xterm/addon-fit";
import { Terminal as Xterm } from "@xterm/xterm";
import { type ReactNode, useEffect, useRef, useState } from "react";

import { problemFrom } from "../../actions/run";
import type { Problem } from "../../api/client";
import { t } from "../../i18n";
import type { Resource } from "../../store/inventory";
import { ProblemPanel } from "../../ui/problem";
import { offer } from "./socket";

const PING_MS = 30_000;

/** A serial port. What goes out is framed as Proxmox's terminals want it: `0:LENGTH:DATA`, `1:COLUMNS:ROWS:`, `2`. */
export default function Terminal(props: { row: Resource }): ReactNode {
  const { row } = props;
  const place = useRef<HTMLDivElement>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  useEffect(() => {
    if (!place.current) return undefined;
    const terminal = new Xterm({ scrollback: 10_000, fontSize: 14 });
    const fit = new FitAddon();
    terminal.loadAddon(fit);
    terminal.open(place.current);
    fit.fit();
    const watcher = new ResizeObserver(() => fit.fit());
    watcher.observe(place.current);
    const ended = new AbortController();
    connect(row, terminal, ended.signal).catch((raised: unknown) => setProblem(problemFrom(raised, t("consoles.serial"))));
    terminal.focus();
    return () => {
      ended.abort();
      watcher.disconnect();
      terminal.dispose();
    };
  }, [row.id]); // oxlint-disable-line
  return (
    <>
      {problem && <ProblemPanel problem={problem} />}
      <div ref={place} className="terminal" />
    </>
  );
}

async function connect(row: Resource, terminal: Xterm, ended: AbortSignal): Promise<void> {
  const { url, offer: made } = await offer(row, "termproxy");
  if (ended.aborted) return;
  const socket = new WebSocket(url, "binary");
  socket.binaryType = "arraybuffer";
  const bytes = new TextEncoder();
  const ping = setInterval(() => socket.readyState === WebSocket.OPEN && socket.send("2"), PING_MS);
  ended.addEventListener("abort", () => socket.close());
  socket.onopen = () => {
    socket.send(`${made.user}:${made.ticket}\n`);
    socket.send(`1:${terminal.cols}:${terminal.rows}:`);
  };
  let greeted = false;
  socket.onmessage = (event: MessageEvent<ArrayBuffer>) => {
    const data = new Uint8Array(event.data);
    terminal.write(greeted ? data : data.subarray(data[0] === 0x4f && data[1] === 0x4b ? 2 : 0)); // "OK" comes first
    greeted = true;
  };
  socket.onclose = () => {
    clearInterval(ping);
    terminal.write(`\r\n[${t("consoles.ended")}]\r\n`);
  };
  terminal.onData((text) => socket.send(`0:${bytes.encode(text).length}:${text}`));
  terminal.onResize(({ cols, rows }) => socket.readyState === WebSocket.OPEN && socket.send(`1:${cols}:${rows}:`));
}
