"""Tickets: what is handed out opens exactly what it should, and nothing that comes in makes a traceback."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarmac.drivers.store.memory import MemoryStore
from tarmac.lib.signing import KEY_SECONDS, Signer
from tarmac.model.errors import DataCorrupt, Unauthenticated
from tarmac.model.users import Token, User
from tarmac.services.access.access import Identity
from tarmac.services.access.directory import Directory
from tarmac.services.access.tickets import LIFETIME, VNC_LIFETIME, Tickets

JOE, ROOT = "joe@pve", "root@pam"
INVALID = "^permission denied - invalid PVE ticket$"


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """Tickets with a clock of their own."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.path = directory / "auth.key"
        self.directory = Directory(MemoryStore.__new__(MemoryStore))  # nothing is stored here
        self.directory.users |= {u: User(userid=u) for u in (JOE, ROOT)}
        self.signer = Signer(self.path, self.clock)
        self.tickets = Tickets(self.directory, self.signer, self.clock)


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    await made.signer.load()
    return made


async def test_the_form_is_proxmox_s(desk: Desk) -> None:
    ticket = await desk.tickets.issue(JOE)
    assert re.fullmatch(r"PVE:joe@pve:[0-9A-F]{8}::[A-Za-z0-9+/=]+", ticket)
    parts = ticket.split(":")
    assert len(parts) > 3 and "@" in parts[1] and int(parts[2], 16) == int(desk.clock.now)
    assert re.fullmatch(r"[0-9A-F]{8}:[A-Za-z0-9+/=]+", desk.tickets.csrf(JOE))
    assert await desk.tickets.verify(ticket) == Identity(JOE)
    assert desk.tickets.expires(ticket) == int(desk.clock.now) + LIFETIME


async def test_a_ticket_lasts_two_hours(desk: Desk) -> None:
    ticket, csrf = await desk.tickets.issue(JOE), desk.tickets.csrf(JOE)
    desk.clock.now += LIFETIME - 1
    await desk.tickets.verify(ticket)
    desk.tickets.check_csrf(Identity(JOE), csrf)
    desk.clock.now += 2
    with pytest.raises(Unauthenticated, match=INVALID):
        await desk.tickets.verify(ticket)
    with pytest.raises(Unauthenticated, match=r"^Permission denied - invalid csrf token$"):
        desk.tickets.check_csrf(Identity(JOE), csrf)
    desk.clock.now -= LIFETIME + 400  # issued in the future
    with pytest.raises(Unauthenticated, match=INVALID):
        await desk.tickets.verify(ticket)


async def test_nothing_in_a_ticket_can_be_changed(desk: Desk) -> None:
    ticket = await desk.tickets.issue(JOE)
    stamp, signature = ticket.split(":")[2], ticket.split("::")[1]
    later = f"{int(stamp, 16) + 1:08X}"
    for forged in (
        ticket.replace(JOE, ROOT),
        ticket.replace(stamp, later),
        ticket[:-2] + ("A" if ticket[-2] != "A" else "B") + "=",
        ticket.replace("PVE:", "PVEVNC:"),
        ticket + " ",
        ticket.lower(),
        f"PVE:{JOE}:{stamp}::{desk.tickets.csrf(JOE).split(':')[1]}",
        f"PVE:{JOE}:{stamp}::",
        f"PVE:{JOE}:{stamp}::{signature}:{signature}",
        "",
    ):
        with pytest.raises(Unauthenticated, match=INVALID) as caught:
            await desk.tickets.verify(forged)
        error = caught.value
        assert error.error_code and error.cause and error.evidence and error.fixes


async def test_a_csrf_token_is_the_users_own(desk: Desk) -> None:
    token = desk.tickets.csrf(JOE)
    desk.tickets.check_csrf(Identity(JOE), token)
    for wrong in (desk.tickets.csrf(ROOT), "", token + "=", (await desk.tickets.issue(JOE)).split("PVE:joe@pve:")[1]):
        with pytest.raises(Unauthenticated):
            desk.tickets.check_csrf(Identity(JOE), wrong)


async def test_keys_change_daily_and_the_previous_one_is_still_good(desk: Desk) -> None:
    desk.clock.now += KEY_SECONDS - 60
    old = await desk.tickets.issue(JOE)
    first = desk.path.read_bytes()
    desk.clock.now += 120
    new = await desk.tickets.issue(JOE)
    assert desk.path.read_bytes() != first
    for ticket in (old, new):
        assert await desk.tickets.verify(ticket) == Identity(JOE)
    again = Tickets(desk.directory, Signer(desk.path, desk.clock), desk.clock)
    await again._signer.load()
    for ticket in (old, new):
        assert await again.verify(ticket) == Identity(JOE)
    desk.clock.now += 2 * KEY_SECONDS
    await desk.tickets.issue(JOE)
    assert not desk.signer.is_signed("ticket", old.split("::")[0], old.split("::")[1])


async def test_the_key_is_private_and_survives(desk: Desk) -> None:
    assert desk.path.stat().st_mode & 0o777 == 0o600
    before = desk.path.read_bytes()
    await Signer(desk.path, desk.clock).load()
    assert desk.path.read_bytes() == before
    desk.path.write_text("{}")
    with pytest.raises(DataCorrupt) as caught:
        await Signer(desk.path, desk.clock).load()
    assert str(desk.path) in caught.value.evidence and caught.value.fixes


async def test_many_logins_at_the_change_of_the_key_all_hold(desk: Desk) -> None:
    desk.clock.now += KEY_SECONDS + 1
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(desk.tickets.issue(JOE)) for _ in range(20)]
    for task in tasks:
        await desk.tickets.verify(task.result())


async def test_users_who_are_gone_disabled_or_expired_are_refused(desk: Desk) -> None:
    ticket = await desk.tickets.issue(JOE)
    now = int(desk.clock.now)
    for user in (User(userid=JOE, enable=False), User(userid=JOE, expire=now - 1), None):
        desk.directory.users.pop(JOE, None)
        if user:
            desk.directory.users[JOE] = user
        with pytest.raises(Unauthenticated, match=INVALID):
            await desk.tickets.verify(ticket)
        assert not desk.tickets.is_active(Identity(JOE))
    desk.directory.users[JOE] = User(userid=JOE, expire=now + 10, tokens={"t": Token(expire=now - 1), "u": Token()})
    await desk.tickets.verify(ticket)
    assert not desk.tickets.is_active(Identity(JOE, "t"))
    assert desk.tickets.is_active(Identity(JOE, "u")) and not desk.tickets.is_active(Identity(JOE, "v"))


async def test_console_tickets_are_bound_to_user_path_and_port(desk: Desk) -> None:
    identity = Identity(JOE)
    ticket = await desk.tickets.vnc(identity, "/vms/100", 5900)
    assert ticket.startswith("PVEVNC:") and JOE not in ticket
    await desk.tickets.verify_vnc(ticket, identity, "/vms/100", 5900)
    await desk.tickets.verify_vnc(f"12345678:{ticket}", identity, "/vms/100", "5900")
    for who, path, port in (
        (Identity(ROOT), "/vms/100", 5900),
        (Identity(JOE, "t"), "/vms/100", 5900),
        (identity, "/vms/101", 5900),
        (identity, "/vms/100", 5901),
    ):
        with pytest.raises(Unauthenticated, match=r"^permission denied - invalid PVEVNC ticket$"):
            await desk.tickets.verify_vnc(ticket, who, path, port)
    with pytest.raises(Unauthenticated):
        await desk.tickets.verify(ticket)
    desk.clock.now += VNC_LIFETIME + 1
    with pytest.raises(Unauthenticated):
        await desk.tickets.verify_vnc(ticket, identity, "/vms/100", 5900)


TICKETS = Desk(Path("/nonexistent"))
TICKETS.signer._keys.current = b"k" * 32
_ALMOST = st.from_regex(r"(PVE|PVEVNC):[^:]{0,70}:?[0-9A-Fa-f]{0,9}::?[A-Za-z0-9+/=]{0,50}")


@given(st.one_of(st.text(), _ALMOST, st.text(alphabet="PVENC:@=0F+/ \0\n\ud800é", max_size=80)))
def test_whatever_comes_in_is_refused_and_never_a_traceback(text: str) -> None:
    async def ask() -> None:
        with pytest.raises(Unauthenticated):
            await TICKETS.tickets.verify(text)
        with pytest.raises(Unauthenticated):
            await TICKETS.tickets.verify_vnc(text, Identity(JOE), "/vms/1", 1)
        with pytest.raises(Unauthenticated):
            TICKETS.tickets.check_csrf(Identity(JOE), text)
        assert TICKETS.tickets.expires(text) >= 0

    asyncio.run(ask())


@given(st.text(min_size=1, max_size=40), st.integers(0, 0xFFFFFFFF))
def test_even_with_a_right_signature(name: str, stamp: int) -> None:
    """A stolen key aside, the parser itself must bear any user name and time."""
    text = f"PVE:{name}@pve:{stamp:08X}"

    async def ask() -> None:
        with pytest.raises(Unauthenticated):
            await TICKETS.tickets.verify(f"{text}::{TICKETS.signer.sign('ticket', text)}")

    if f"{name}@pve" not in TICKETS.directory.users:
        asyncio.run(ask())
