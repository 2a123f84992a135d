"""The daemon's log: one line an event, readable by people and machines: time, level, component, text, key=value.

Levels say who must act. ERROR: the administrator, now. WARNING: the administrator, some day. INFO: nobody; what
changed. DEBUG: developers.
"""

from __future__ import annotations

import logging
import sys
import time

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LineFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.123Z INFO  services.jobs: guest created vmid=100 user=root@pam`."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = "".join(f" {k}={_quoted(v)}" for k, v in vars(record).items() if k not in _STANDARD)
        name = record.name.removeprefix("tarmac.")
        line = f"{stamp}.{int(record.msecs):03d}Z {record.levelname:7} {name}: {_one_line(record.getMessage())}{fields}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def set_up(level: str = "INFO") -> None:
    """Send everything to standard error, where systemd or the starter's file takes it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel("WARNING")
    logging.getLogger("aiohttp").setLevel("WARNING")
    logging.getLogger("qemu.qmp").setLevel("CRITICAL")
    logging.getLogger("pyroute2").setLevel("WARNING")


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _quoted(value: object) -> str:
    text = _one_line(str(value))
    return f'"{text}"' if " " in text or not text else text
