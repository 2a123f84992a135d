"""One run of the command line: the options every command has, the connection when it is needed, waiting for tasks."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from tarmac.faces.cli import render
from tarmac.faces.cli.client import Client, connect
from tarmac.faces.cli.errors import INTERRUPTED, CliError, from_record
from tarmac.faces.cli.progress import Progress
from tarmac.faces.cli.typed import typed

_POLL = (0.05, 0.05, 0.1, 0.1, 0.2, 0.3)
_POLL_AT_MOST = 0.5
_LINES = 500
_TIME = re.compile(r"^\d\d:\d\d:\d\d ")  # a moving line tells how long it takes; when is for the log


class Session:
    """`options` are the parsed common options; see `common` for them."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.output: str = options.output
        self.quiet: bool = options.quiet
        self.subject = ""  # the guest that the command is about
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """Raises CliError where the words make no sense; nothing is sent before the first call."""
        if self._client is None:
            o = self.options
            self._client = connect(
                data_dir=o.data_dir, url=o.url, token=o.token, fingerprint=o.fingerprint, insecure=o.insecure
            )
        return self._client

    def forget(self) -> None:
        """Connect anew at the next call: the daemon may be another one now."""
        if self._client is not None:
            self._client.connection.close()
        self._client = None

    def node(self) -> str:
        return str(getattr(self.options, "node", None) or self.client.node())

    def guest(self, word: str) -> tuple[str, int]:
        """Node and number of a guest that is named by number or name."""
        if self.options.node and word.isdigit():
            node, vmid = str(self.options.node), int(word)
        else:
            node, vmid = self.client.guest(word)
        self.subject = str(vmid)
        return node, vmid

    def show(self, data: Any, words: str = "") -> None:
        """Print a result; people are told when a list is empty, on standard error."""
        if data == [] and self.output == "table":
            self.say("(none)")
        render.show(data, self.output, words)

    def say(self, text: str) -> None:
        """A line for people beside the result: on standard error, and not with `--quiet`."""
        if not self.quiet:
            print(render.clean(typed(text, self.options), lines=True), file=sys.stderr, flush=True)

    def progress(self, title: str) -> Progress:
        return Progress(title, quiet=self.quiet)

    def task(self, method: str, path: str, params: Mapping[str, Any], title: str) -> dict[str, Any]:
        """Make a call that starts a task and, unless `--no-wait`, wait for its end. Returns the task's status, with
        `upid`. A call that answers without a task gives {}. Raises CliError, also for a task that failed."""
        data = self.client.call(method, path, params).get("data")
        if not (isinstance(data, str) and data.startswith("UPID:")):
            return {}
        if self.options.no_wait:
            return {"upid": data}
        return self.wait(data, title)

    def wait(self, upid: str, title: str = "", *, lines: bool = False) -> dict[str, Any]:
        """Wait for a task's end with its progress shown; `lines` prints its whole log. Returns its status.
        Raises CliError of kind `task-failed` when it failed."""
        shown = self.progress(title or "waiting")
        if lines:
            shown.end()
        seen = turn = 0
        newest = ""
        try:
            while True:
                status = self.task_status(upid)
                seen, said = self._log(upid, seen, shown if lines else None)
                newest = _TIME.sub("", said) or newest
                if status.get("status") == "stopped":
                    break
                done, total, unit = progress_of(status)
                shown.update(done, total, unit, note=newest)
                time.sleep(_POLL[turn] if turn < len(_POLL) else _POLL_AT_MOST)
                turn += 1
        except CliError as error:
            if error.kind in ("unavailable", "outcome-unknown"):
                raise _lost(upid, error) from error
            raise
        except KeyboardInterrupt:
            shown.end()
            self.say(
                f"The task goes on. Follow it: tarmac task follow {upid}\n       End it: tarmac task cancel {upid}"
            )
            raise SystemExit(INTERRUPTED) from None
        finally:
            shown.end()
        self._verdict(upid, status)
        return status

    def task_status(self, upid: str) -> dict[str, Any]:
        """A task's status as the API gives it."""
        status = self.client.get(f"{task_path(upid)}/status")
        return dict(status) if isinstance(status, dict) else {}

    def _log(self, upid: str, seen: int, shown: Progress | None) -> tuple[int, str]:
        """New lines of the task's log: printed where `shown` is given, else only the newest one is returned."""
        if self.quiet and shown is None:
            return seen, ""
        got = self.client.get(f"{task_path(upid)}/log", {"start": seen, "limit": _LINES}) or []
        texts = [str(line.get("t", "")) for line in got if isinstance(line, dict) and line.get("n", 0) > seen]
        if shown is not None:
            for text in texts:
                shown.line(text)
        told = (text for text in reversed(texts) if text and not text.startswith("TASK "))
        return seen + len(texts), next(told, "")

    def _verdict(self, upid: str, status: Mapping[str, Any]) -> None:
        exit_status = str(status.get("exitstatus") or "unexpected status")
        if exit_status == "OK":
            return
        if exit_status.startswith("WARNINGS"):
            lines = self.client.get(f"{task_path(upid)}/log", {"start": 0, "limit": _LINES}) or []
            found = [text for line in lines if (text := _TIME.sub("", str(line.get("t", "")))).startswith("WARN: ")]
            self.say("\n".join(text.replace("WARN: ", "Warning: ", 1) for text in found) or exit_status)
            return
        record = status.get("error")
        if isinstance(record, dict) and record.get("message"):
            raise from_record(record, "task-failed")
        lines = self.client.get(f"{task_path(upid)}/log", {"start": 0, "limit": _LINES}) or []
        texts = [str(line.get("t", "")) for line in lines]
        raise CliError(
            "task-failed", exit_status, evidence="\n".join(texts[-6:]), fixes=[f"the whole log: tarmac task log {upid}"]
        )


def _lost(upid: str, error: CliError) -> CliError:
    """The daemon went away while a task ran: its next start finishes or undoes it."""
    return CliError(
        "outcome-unknown",
        f"{error.message}; the task that was waited for is finished or undone when the daemon is back",
        cause=error.cause,
        evidence=f"{error.evidence}; task {upid}",
        fixes=[*error.fixes, f"then see what became of it: tarmac task show {upid}"],
    )


def progress_of(status: Mapping[str, Any]) -> tuple[float | None, float | None, str]:
    """A task's progress: done, total and unit, from the API's extra field."""
    told = status.get("progress")
    if isinstance(told, dict):
        return told.get("done"), told.get("total"), str(told.get("unit") or "")
    if isinstance(told, (list, tuple)) and len(told) == 3:
        return told[0], told[1], str(told[2] or "")
    return None, None, ""


def task_path(upid: str) -> str:
    """A task's path in the API. Raises CliError for what is no UPID."""
    return f"/nodes/{quote(node_of_task(upid), safe='')}/tasks/{quote(upid, safe='')}"


def node_of_task(upid: str) -> str:
    """The node that stands in a task's id. Raises CliError for what is no UPID."""
    parts = upid.split(":")
    if len(parts) != 9 or parts[0] != "UPID" or not parts[1]:
        raise CliError(
            "invalid-input", f"not a task's id: {upid}", fixes=["see the ids: tarmac task list --output json"]
        )
    return parts[1]


def common(parser: argparse.ArgumentParser, *, leaf: bool) -> None:
    """Add the options that every command has. On a leaf they have no defaults, so that those given before the noun
    stay."""
    gap: Any = argparse.SUPPRESS
    group = parser.add_argument_group("options of every command")

    def add(*names: str, default: Any, **told: Any) -> None:
        group.add_argument(*names, default=gap if leaf else default, **told)

    add(
        "-o", "--output", choices=("table", "json", "yaml"), default="table", help="form of the result (default: table)"
    )
    add("--data-dir", metavar="DIR", default=None, help="the daemon of this data directory, on this machine")
    add("--url", metavar="URL", default="", help="a daemon elsewhere: https://HOST:8006 (or TARMAC_URL)")
    add("--token", metavar="T", default="", help="USER@REALM!NAME=SECRET, for --url (better: TARMAC_TOKEN)")
    add("--fingerprint", metavar="SHA256", default="", help="trust exactly this certificate")
    add("--insecure", action="store_true", default=False, help="do not check the certificate")
    add("--no-wait", action="store_true", default=False, help="print a task's id (UPID) instead of waiting for its end")
    add("-q", "--quiet", action="store_true", default=False, help="no progress and no remarks")
