"""Logging in: which password opens, how failures are slowed and limited, and what a flood costs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.loop import LIMIT_SECONDS, longest_callbacks
from tarmac.drivers.store.memory import MemoryStore
from tarmac.lib.passwords import Hasher
from tarmac.lib.signing import Signer
from tarmac.model.errors import HostFailure, InvalidInput, NotBuilt, NotFound, TarmacError, Unauthenticated
from tarmac.services.access.access import Access, Identity
from tarmac.services.access.directory import Directory
from tarmac.services.access.login import Login
from tarmac.services.access.login_files import ONE_TIME_SECONDS
from tarmac.services.access.login_limits import PER_PAIR, PER_SOURCE, PER_USER, WINDOW_SECONDS, LoginLimits, network_of
from tarmac.services.access.realms import Realms
from tarmac.services.access.tfa import SecondFactors
from tarmac.services.access.tickets import LIFETIME, Tickets
from tarmac.services.access.users import Users

BY = "root@pam"
GOOD = "correct horse"


class Host:
    """The host's users, as PAM would know them."""

    def __init__(self) -> None:
        self.passwords = {"carol": "hers"}
        self.asked: list[tuple[str, str]] = []
        self.broken = False

    async def fits(self, name: str, password: str, *, source: str) -> bool:
        self.asked.append((name, source))
        if self.broken:
            raise HostFailure("the host cannot check passwords", evidence="code 4")
        return self.passwords.get(name) == password


class CountingHasher(Hasher):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.served: list[str] = []

    async def fits(self, record: Any, password: str, **turn: Any) -> bool:
        self.count += 1
        fits = await super().fits(record, password, **turn)
        self.served.append(turn.get("source", ""))
        return fits


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Any]:
    store = MemoryStore()
    directory = Directory(store)
    await directory.load()
    access, now = Access(directory), SimpleNamespace(wall=1_800_000_000.0, steady=0.0)
    tickets = Tickets(directory, await Signer.open(tmp_path), lambda: now.wall)
    hasher, host = CountingHasher(), Host()
    login = Login(
        directory=directory,
        access=access,
        tickets=tickets,
        factors=SecondFactors(directory, access),
        hasher=hasher,
        pam=host,
        data_dir=tmp_path,
        limits=LoginLimits(lambda: now.steady),
        failure_seconds=0.0,
        clock=lambda: now.wall,
    )
    users = Users(directory, access, hasher)
    await users.create("joe@pve", by=BY, password=GOOD)
    await users.create("carol@pam", by=BY)
    yield SimpleNamespace(
        login=login, users=users, now=now, hasher=hasher, host=host, tickets=tickets, directory=directory, dir=tmp_path
    )
    await store.close()


async def refused(world: Any, user: str, password: str, source: str = "10.0.0.1") -> Unauthenticated:
    with pytest.raises(Unauthenticated, match="^authentication failure$") as caught:
        await world.login.login(user, password, source=source)
    error = caught.value
    assert error.error_code == "authentication-failure" and error.cause and error.evidence and error.fixes
    return error


async def test_the_reply_is_proxmox_s(world: Any) -> None:
    for reply in (
        await world.login.login("joe@pve", GOOD),
        await world.login.login("joe", GOOD, realm="pve"),
    ):
        assert set(reply) == {"username", "ticket", "CSRFPreventionToken", "cap"}
        assert reply["username"] == "joe@pve"
        identity = await world.tickets.verify(reply["ticket"])
        world.tickets.check_csrf(identity, reply["CSRFPreventionToken"])
        assert identity == Identity("joe@pve") and reply["cap"]["vms"] == {}


async def test_pam_users_are_asked_of_the_host(world: Any) -> None:
    reply = await world.login.login("carol@pam", "hers", source="10.1.2.3")
    assert reply["username"] == "carol@pam" and world.host.asked == [("carol", "10.1.2.3")]
    await refused(world, "carol@pam", "his")
    # Whoever the platform does not know is not asked of the host, but costs the same.
    before = world.hasher.count
    await refused(world, "daemon@pam", "x")
    assert ("daemon", "10.0.0.1") not in world.host.asked and world.hasher.count == before + 1
    world.host.broken = True
    await refused(world, "carol@pam", "hers")


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("joe@pve", "wrong"), ("joe@pve", ""), ("joe@pve", "x" * 5000), ("joe@pve", "\ud800"), ("joe@pve", "a\0b"),
        ("nobody@pve", GOOD), ("joe@pam", GOOD), ("joe", GOOD), ("", ""), ("joe@pve\n", GOOD), ("@", "x"),
        ("joe@nowhere", GOOD), ("joe@pve!tok", GOOD), ("\ud800@pve", GOOD), ("joe@pve", "PVE:joe@pve:00000000::"),
        ("joe@pve", "PVE:"),
    ],
)  # fmt: skip
async def test_whatever_is_wrong_the_answer_is_the_same(world: Any, user: str, password: str) -> None:
    await refused(world, user, password)


async def test_users_who_may_not_are_refused_with_the_right_password(world: Any) -> None:
    await world.users.update("joe@pve", by=BY, enable=False)
    await refused(world, "joe@pve", GOOD)
    await world.users.update("joe@pve", by=BY, enable=True, expire=int(world.now.wall) - 1)
    await refused(world, "joe@pve", GOOD)
    await world.users.update("joe@pve", by=BY, expire=0)
    await world.login.login("joe@pve", GOOD)
    await world.users.delete("joe@pve", by=BY)
    await refused(world, "joe@pve", GOOD)


async def test_a_ticket_renews_itself(world: Any) -> None:
    first = await world.login.login("joe@pve", GOOD)
    world.now.wall += LIFETIME - 10
    second = await world.login.login("joe@pve", first["ticket"])
    world.now.wall += 20
    await refused(world, "joe@pve", first["ticket"])
    await refused(world, "carol@pam", second["ticket"])
    await world.login.login("joe@pve", second["ticket"])
    assert world.hasher.count == 1  # renewals hash nothing


async def test_a_failure_answers_late(world: Any) -> None:
    world.login._failure_seconds = 0.3
    for password in ("wrong", "", "PVE:x"):
        begun = time.monotonic()
        await refused(world, "joe@pve", password)
        assert time.monotonic() - begun > 0.28
    world.login._failure_seconds = 60.0
    async with asyncio.timeout(30):
        await world.login.login("joe@pve", GOOD)


async def test_limits_act_before_hashing(world: Any) -> None:
    for _ in range(PER_PAIR):
        await refused(world, "joe@pve", "wrong", "10.0.0.1")
    count = world.hasher.count
    await refused(world, "joe@pve", GOOD, "10.0.0.1")  # even the right one now
    assert world.hasher.count == count
    await world.login.login("joe@pve", GOOD, source="10.0.0.2")  # another place is not shut out
    await refused(world, "joe@pve", "wrong", "10.0.0.2")
    world.now.steady += WINDOW_SECONDS + 1
    await world.login.login("joe@pve", GOOD, source="10.0.0.1")


async def test_attempts_at_once_count_too(world: Any) -> None:
    async with asyncio.TaskGroup() as group:
        for n in range(40):
            group.create_task(refused(world, "joe@pve", f"guess {n}", "10.0.0.9"))
    assert world.hasher.count == PER_PAIR


async def test_many_users_from_one_source_and_one_user_from_many(world: Any) -> None:
    for n in range(PER_SOURCE + 10):
        await refused(world, f"user{n}@pam", "", "10.0.0.3")
    limits = LoginLimits(lambda: 0.0)
    assert sum(limits.begin(f"u{n}@pve", "10.0.0.3") for n in range(PER_SOURCE + 10)) == PER_SOURCE
    limits = LoginLimits(lambda: 0.0)
    assert limits.begin("joe@pve", "192.0.2.1")
    limits.succeeded("joe@pve", "192.0.2.1")
    tried = sum(limits.begin("joe@pve", f"10.0.{n // 250}.{n % 250}") for n in range(PER_USER + 50))
    assert tried == PER_USER
    assert not limits.begin("joe@pve", "10.9.9.9")
    assert limits.begin("joe@pve", "192.0.2.1")  # where the user is at home, strangers lock nobody out


async def test_success_starts_anew_and_memory_is_bounded() -> None:
    limits = LoginLimits(lambda: 0.0)
    for _ in range(50):
        assert limits.begin("joe@pve", "10.0.0.1")
        limits.succeeded("joe@pve", "10.0.0.1")
    for n in range(50_000):
        limits.begin(f"u{n}@pve", f"2001:db8:{n:x}::1")
    assert len(limits._tries) <= 20_010


@pytest.mark.parametrize(
    ("source", "network"),
    [("10.0.0.1", "10.0.0.1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("2001:db8::1", "2001:db8::/64"),
     ("2001:db8::ffff:1%eth0", "2001:db8::/64"), ("unix:pid=1", "unix:pid=1"), ("", "")],
)  # fmt: skip
def test_what_counts_as_one_source(source: str, network: str) -> None:
    assert network_of(source) == network


async def test_the_one_time_secret_opens_once(world: Any) -> None:
    secret = await world.login.one_time_secret()
    path = world.dir / "login-once"
    assert path.stat().st_mode & 0o777 == 0o600 and len(secret) >= 32
    assert await world.login.one_time_secret() == secret
    await refused(world, "joe@pve", secret)
    await refused(world, "root@pam", secret[:-1])
    reply = await world.login.login("root@pam", secret, source="10.0.0.1")
    assert reply["cap"]["dc"]["Sys.Modify"] == 1 and not path.exists()
    await refused(world, "root@pam", secret)
    other = await world.login.one_time_secret()
    assert other != secret
    world.now.wall += ONE_TIME_SECONDS + 1
    await refused(world, "root@pam", other)
    assert await world.login.one_time_secret() != other
    path.write_text("rubbish")
    await refused(world, "root@pam", "rubbish")


async def test_of_many_who_use_the_secret_one_gets_in(world: Any) -> None:
    secret = await world.login.one_time_secret()

    async def attempt(n: int) -> bool:
        try:
            await world.login.login("root@pam", secret, source=f"10.0.1.{n}")
        except Unauthenticated:
            return False
        return True

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(attempt(n)) for n in range(10)]
    assert sum(task.result() for task in tasks) == 1


async def test_the_password_file(world: Any) -> None:
    path = world.dir / "password"
    path.write_text("öpen sesame\r\nmore\n")
    path.chmod(0o640)
    with pytest.raises(InvalidInput, match="others may read"):
        await world.login.use_password_file(path)
    path.chmod(0o600)
    await world.login.use_password_file(path)
    record = world.directory.passwords["root@pam"]
    await world.login.use_password_file(path)
    assert world.directory.passwords["root@pam"] == record  # unchanged: not written again
    await world.login.login("root@pam", "öpen sesame")
    await refused(world, "root@pam", "more")
    assert world.host.asked == []
    path.write_text("\n")
    with pytest.raises(InvalidInput):
        await world.login.use_password_file(path)
    with pytest.raises(TarmacError, match="cannot read the password file"):
        await world.login.use_password_file(world.dir / "missing")
    stored = b"".join([e.value for e in await world.directory._store.range("")])
    assert b"sesame" not in stored


async def test_setting_passwords(world: Any) -> None:
    await world.login.set_password("joe@pve", "new password", by=BY)
    await refused(world, "joe@pve", GOOD)
    await world.login.login("joe@pve", "new password")
    assert await world.login.verify("joe@pve", "new password")
    assert not await world.login.verify("joe@pve", "old password")
    for bad in ("short", "x" * 65, ""):
        with pytest.raises(InvalidInput):
            await world.login.set_password("joe@pve", bad, by=BY)
    with pytest.raises(NotFound, match="no such user"):
        await world.login.set_password("x@pve", "long enough", by=BY)
    with pytest.raises(NotBuilt) as caught:
        await world.login.set_password("carol@pam", "long enough", by=BY)
    assert caught.value.fixes[0].action == "passwd carol"


async def test_hashing_never_blocks_the_loop(real_hashes: None, world: Any) -> None:
    assert world.directory.passwords["joe@pve"].n == 2**15, "a hash that takes long enough"
    with longest_callbacks() as spent:
        for n in range(6):
            await refused(world, "joe@pve", "wrong", f"10.3.0.{n}")
    assert max(spent)[0] < LIMIT_SECONDS, max(spent)


HASHER = Hasher()


@given(st.text(max_size=20), st.text(max_size=20))
def test_only_the_password_itself_fits(password: str, other: str) -> None:
    from tarmac.model.users import Password

    async def ask() -> None:
        # Small figures: the form is what is tested here, not the cost.
        salt = bytes(16)
        digest = await HASHER._scrypt(password, salt, 16, 1, 1)
        record = Password(salt=salt.hex(), hash=digest.hex(), n=16, r=1, p=1)
        assert await HASHER.fits(record, password)
        assert await HASHER.fits(record, other) == (password == other)

    asyncio.run(ask())


async def test_an_honest_user_does_not_wait_for_a_flood(real_hashes: None, world: Any) -> None:
    """The order of work is what is looked at, not time: of the many that came before, only some are served before."""

    async def attempt(user: str, password: str, source: str) -> bool:
        try:
            await world.login.login(user, password, source=source)
        except Unauthenticated:
            return False
        return True

    await world.login.login("joe@pve", GOOD, source="192.0.2.1")
    world.hasher.served.clear()
    async with asyncio.TaskGroup() as group:
        # One source with many names, and twenty more with one each.
        for n in range(PER_SOURCE):
            group.create_task(attempt(f"user{n}@pve", "wrong", "198.51.100.1"))
        for n in range(20):
            group.create_task(attempt("joe@pve", "wrong", f"203.0.113.{n}"))
        for _ in range(3):
            await asyncio.sleep(0)
        there = group.create_task(attempt("joe@pve", GOOD, "192.0.2.1"))  # from where joe was before
        elsewhere = group.create_task(attempt("joe@pve", GOOD, "192.0.2.9"))
    assert there.result() and elsewhere.result()
    served = world.hasher.served
    assert served.index("192.0.2.1") <= 4, "next, after those at work"
    before = served[: served.index("192.0.2.9")]
    assert before.count("198.51.100.1") <= 4 < served.count("198.51.100.1"), "a source has one turn in a rotation"


async def test_a_realm_that_hangs_holds_up_its_own_users_only(world: Any) -> None:
    """Carol's host does not answer; joe, whose password is kept here, gets in."""
    never = asyncio.Event()

    async def hang(name: str, password: str, *, source: str) -> bool:
        await never.wait()
        return False

    world.host.fits = hang
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(world.login.login("carol@pam", "x", source=f"192.0.2.{n}")) for n in range(20)]
        await asyncio.sleep(0)
        assert (await world.login.login("joe@pve", GOOD, source="192.0.2.99"))["username"] == "joe@pve"
        for task in waiting:
            task.cancel()


async def test_a_realm_that_is_gone_lets_nobody_in_or_on(world: Any) -> None:
    realms = Realms(world.directory)
    await realms.create("sso", "openid", {"issuer-url": "https://id.example", "client-id": "x"}, by=BY)
    await world.users.create("ann@sso", by=BY)
    ticket = (await world.login.admit("ann@sso", "10.0.0.1"))["ticket"]
    await refused(world, "ann@sso", "any password")
    assert (await world.login.login("ann@sso", ticket))["username"] == "ann@sso"
    await realms.delete("sso", by=BY)
    await refused(world, "ann@sso", ticket)


async def test_a_realm_may_demand_a_second_factor(world: Any) -> None:
    realms = Realms(world.directory)
    ticket = (await world.login.login("joe@pve", GOOD))["ticket"]
    await realms.update("pve", {"tfa": "type=oath"}, by=BY)
    await refused(world, "joe@pve", GOOD)
    await world.login.login("joe@pve", ticket)  # who is in stays in
    factors = SecondFactors(world.directory, Access(world.directory))
    await factors.add_recovery("joe@pve", description="", by=BY)
    assert (await world.login.login("joe@pve", GOOD))["NeedTFA"] == 1
