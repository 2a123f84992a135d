"""How long an honest login takes while others flood the daemon with wrong passwords.

    .venv/bin/python benchmarks/login_under_attack.py [--logins 20] [--sources 1,40]

Attackers connect over HTTPS from addresses of their own on loopback (127.0.1.N), each as fast as it is answered and
with as many connections as `--each`. The honest user comes from 127.0.0.1: once from where it was before, and once as
somebody new (`--fresh`: another address each time). The peer is the same login while nobody attacks.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import ssl
import time

import aiohttp
from common import Row, report

from support.daemon import test_daemon

PASSWORD = "an honest password"


async def login(port: int, source: str, user: str, password: str) -> bool:
    """One login over a connection of its own."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connector = aiohttp.TCPConnector(ssl=context, local_addr=(source, 0), force_close=True)
    form = {"username": user, "password": password}
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post(f"https://127.0.0.1:{port}/api2/json/access/ticket", data=form) as reply,
    ):
        return reply.status == 200


async def _attacker(port: int, source: str, number: int) -> None:
    while True:
        with contextlib.suppress(aiohttp.ClientError, OSError):
            await login(port, source, f"user{number}@pve", "wrong")


def _attack(port: int, sources: int, each: int) -> None:
    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for n in range(sources):
                for m in range(each):
                    group.create_task(_attacker(port, f"127.0.1.{n + 1}", m))

    asyncio.run(all_of_them())


async def honest(port: int, count: int, *, fresh: bool) -> list[float]:
    """Seconds of each login."""
    found = []
    for n in range(count):
        begun = time.monotonic()
        assert await login(port, f"127.0.2.{n + 1}" if fresh else "127.0.0.1", "joe@pve", PASSWORD), "refused"
        found.append(time.monotonic() - begun)
        await asyncio.sleep(0.2)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logins", type=int, default=20)
    parser.add_argument("--each", type=int, default=10)
    parser.add_argument("--sources", default="1,40")
    told = parser.parse_args()
    rows: list[Row] = []
    with test_daemon() as daemon:
        daemon.post("/access/users", userid="joe@pve", password=PASSWORD)
        alone = asyncio.run(honest(daemon.port, told.logins, fresh=False))
        for sources in map(int, told.sources.split(",")):
            attack = multiprocessing.Process(target=_attack, args=(daemon.port, sources, told.each), daemon=True)
            attack.start()
            time.sleep(2)
            for fresh, words in ((False, "from where it was before"), (True, "from a new address each time")):
                times = asyncio.run(honest(daemon.port, told.logins, fresh=fresh))
                what = f"a login {words}, {sources} sources flood with {told.each} connections each"
                rows.append(Row(what, "s", times, "nobody floods", alone))
                rows.append(Row(f"the same, the longest of {told.logins}", "s", [max(times)]))
            attack.kill()
            attack.join()
    report("login under attack", rows)


if __name__ == "__main__":
    main()
