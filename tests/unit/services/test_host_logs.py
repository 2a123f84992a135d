"""The host's log: in syslog's form, and a long one holds up nobody."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.loop import attempts
from tarmac.lib.process import Finished
from tarmac.services.node import host_logs


def entry(n: int) -> bytes:
    told = {
        "__CURSOR": f"c{n}", "__REALTIME_TIMESTAMP": "1764000000000000", "_HOSTNAME": "n1",
        "SYSLOG_IDENTIFIER": "sshd", "_PID": "7", "MESSAGE": f"line {n}",
    }  # fmt: skip
    return json.dumps(told).encode() + b"\n"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> int:
    output = b"".join(entry(n) for n in range(20_000)) + b'{"cut off'

    async def run(argv: Any, **more: Any) -> Finished:
        return Finished(argv=tuple(argv), code=0, stdout=output, stderr=b"", truncated=True)

    monkeypatch.setattr(host_logs, "run", run)
    return 20_000


async def test_a_long_log_holds_up_nobody(lines: int) -> None:
    for attempt in attempts():
        with attempt:
            found = await host_logs.journal(last=lines)
            rows, total = await host_logs.syslog(start=100, limit=2)
    assert (found[0], found[-1], len(found)) == ("c0", f"c{lines - 1}", lines + 2)
    assert total == lines
    assert [(row["n"], row["t"].partition("n1 ")[2]) for row in rows] == [
        (101, "sshd[7]: line 100"), (102, "sshd[7]: line 101"),
    ]  # fmt: skip
