"""`tarmac events`: what changes, as it changes; for machines as one JSON message a line, as the API sends it."""

from __future__ import annotations

import argparse
import json
import select
import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

from tarmac.faces.cli.errors import CliError, usage
from tarmac.faces.cli.render import clean
from tarmac.faces.cli.session import Session
from tarmac.faces.cli.websocket import WebSocket, upgrade

PATH = "/api2/events"
Message = dict[str, Any]


def events_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("--watch", metavar="ID", action="append", default=[], help="also the figures of this object")
    parser.add_argument("--task", metavar="UPID", action="append", default=[], help="also the log of this task")
    parser.add_argument("--since", metavar="EPOCH:SEQ", default="", help="go on with what was seen before")


def events(session: Session) -> int:
    """Follow until Ctrl-C or the end of the stream (exit code 6: the daemon or the login has ended)."""
    options = session.options
    query: dict[str, Any] = {"watch": options.watch, "tasks": options.task}
    if options.since:
        epoch, _, seq = options.since.partition(":")
        if not seq.isdecimal():
            raise usage(f"not a position: {options.since}", "write it as EPOCH:SEQ, from the messages' epoch and seq")
        query |= {"epoch": epoch, "since": seq}
    target = f"{PATH}?{urlencode(query, doseq=True)}"
    socket = upgrade(session.client, target, session.client.headers(), protocol="")
    show = _show_words if session.output == "table" else _show_json
    try:
        for message in _messages(socket):
            show(message)
            if message["type"] == "end":
                raise CliError("unavailable", f"the stream has ended: {message['reason']}")
    except OSError as error:
        raise CliError("unavailable", "the connection broke", evidence=str(error)) from error
    finally:
        socket.close()
    raise CliError("unavailable", "the daemon closed the stream")


def _messages(socket: WebSocket) -> Iterator[Message]:
    texts = socket.drain()
    while True:
        for text in texts:
            yield json.loads(text)
        if socket.closed:
            return
        if not socket.pending():
            select.select([socket], [], [])
        texts = socket.receive()


def _show_json(message: Message) -> None:
    print(json.dumps(message, ensure_ascii=False), flush=True)


def _show_words(message: Message) -> None:
    kind = message["type"]
    lines: list[str] = []
    if kind == "delta":
        lines += [_row(row) for row in message["rows"]]
        lines += [f"{key}  gone" for key in message["gone"]]
        lines += [f"task {task['type']} {task['id']}  {_state(task)}  {task['user']}" for task in message["tasks"]]
    elif kind == "metrics":
        lines += [_figures(message["columns"], row) for row in message["rows"]]
    elif kind == "log":
        lines += message["lines"]
    elif kind in ("resync", "end"):
        lines.append(f"{kind}: {message['reason']}")
    stamp = time.strftime("%H:%M:%S")
    for line in lines:
        print(f"{stamp}  {clean(line)}", flush=True)


def _row(row: Message) -> str:
    return "  ".join(str(row[key]) for key in ("id", "status", "name") if key in row)


def _state(task: Message) -> str:
    told = task.get("progress")
    if told and told["total"]:
        return f"{told['done'] / told['total']:.0%}"
    return f"waits for {task['waits-for']}" if "waits-for" in task else str(task["status"])


def _figures(columns: Sequence[str], row: Sequence[Any]) -> str:
    pairs = zip(columns[1:], row[1:], strict=True)
    return "  ".join([str(row[0]), *(f"{name} {value}" for name, value in pairs if value is not None)])
