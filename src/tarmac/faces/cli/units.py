"""The texts of the systemd units: the daemon, and the ordered shutdown of guests before the host powers off. Pure.

The daemon's unit kills only the daemon itself (`KillMode=process`): guests are processes of their own and go on. The
second unit does nothing at start; its stop shuts the guests down. It is stopped before the daemon (`After=` works
backwards at shutdown), and so before network and storages. It asks whether the host is going down, because a stop of
the unit alone (an upgrade, a removal) must not touch any guest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

DAEMON = "tarmac.service"
GUESTS = "tarmac-guests.service"
# Above the guests' own time-outs (180 s each, groups one after another), below for ever.
_STOP_SECONDS = 1800
# The system gives a user's systemd 120 s to end (TimeoutStopSec of user@.service), and kills what is left.
_USER_SECONDS = 60
_PLAIN = re.compile(r"[A-Za-z0-9_@+=:,./-]+")


def unit_texts(serve: Sequence[str], client: Sequence[str], *, user: bool) -> dict[str, str]:
    """Both units by name. `serve` is the daemon's command line, `client` the command line's up to the verb (program
    and data directory); `user`: for a user's own systemd, which knows no network and no storages."""
    return {DAEMON: _daemon(serve, user), GUESTS: _guests(client, user)}


def _daemon(serve: Sequence[str], user: bool) -> str:
    after = (
        "" if user else "After=network-online.target local-fs.target remote-fs.target\nWants=network-online.target\n"
    )
    return f"""\
[Unit]
Description=Tarmac, the hypervisor's daemon
{after}StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=notify
NotifyAccess=main
ExecStart={command_line(serve)}
Restart=on-failure
RestartSec=2
TimeoutStopSec=30
# Guests outlive the daemon: only the daemon itself is stopped, and one guest's end by lack of memory is not the unit's.
KillMode=process
OOMPolicy=continue
PrivateTmp=no
LimitNOFILE=1048576
LimitMEMLOCK=infinity
TasksMax=infinity

[Install]
WantedBy={"default" if user else "multi-user"}.target
"""


def _guests(client: Sequence[str], user: bool) -> str:
    after = DAEMON if user else f"{DAEMON} network-online.target local-fs.target remote-fs.target nss-lookup.target"
    systemctl = "systemctl --user" if user else "systemctl"
    limit = ["--timeout", str(_USER_SECONDS)] if user else []
    stop = command_line([*client, "node", "stopall", "--quiet", *limit])
    # `$$` is systemd's way to write `$`.
    asked = f'[ "$$({systemctl} is-system-running)" != stopping ] || exec "$$@"'
    return f"""\
[Unit]
Description=Tarmac's guests, shut down in their order before the host powers off
After={after}
Wants={DAEMON}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=/bin/sh -c '{asked}' sh {stop}
TimeoutStopSec={_STOP_SECONDS}

[Install]
WantedBy={"default" if user else "multi-user"}.target
"""


def command_line(words: Sequence[str]) -> str:
    """A command line as systemd reads it: quoted where needed, `%` and `$` doubled."""
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    if _PLAIN.fullmatch(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
