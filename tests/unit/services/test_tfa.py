"""Second factors: what is taken once, what is counted, what locks, and what is never told."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from tarmac.drivers.store.memory import MemoryStore
from tarmac.lib.passwords import Hasher
from tarmac.model.errors import Conflict, InvalidInput, NotFound
from tarmac.services.access.access import Access, Identity
from tarmac.services.access.directory import Directory
from tarmac.services.access.tfa import LOCK_SECONDS, WRONG_CODES, WRONG_KEYS, SecondFactors
from tarmac.services.access.users import Users

KEY = b"12345678901234567890"
URI = f"otpauth://totp/tarmac:joe?secret={base64.b32encode(KEY).decode()}"
JOE, BY = "joe@pve", "root@pam"


@pytest.fixture
async def world() -> AsyncIterator[Any]:
    store = MemoryStore()
    directory = Directory(store)
    await directory.load()
    access, now = Access(directory), SimpleNamespace(time=1_800_000_000.0)
    users = Users(directory, access, Hasher())
    await users.create(JOE, by=BY)
    factors = SecondFactors(directory, access, lambda: now.time)
    yield SimpleNamespace(store=store, directory=directory, users=users, factors=factors, now=now)
    await store.close()


def code(world: Any, shift: int = 0) -> str:
    return TOTP(KEY, 6, SHA1(), 30).generate(world.now.time + shift).decode()


async def with_totp(world: Any) -> str:
    made = await world.factors.add_totp(JOE, URI, code(world), description="phone", by=BY)
    world.now.time += 30
    return str(made["id"])


async def test_a_code_is_asked_for_and_taken_once(world: Any) -> None:
    assert world.factors.challenge(JOE) is None
    id = await with_totp(world)
    assert world.factors.challenge(JOE) == {"totp": True}
    assert await world.factors.check(JOE, f"totp:{code(world)}") == ""
    assert await world.factors.check(JOE, f"totp:{code(world)}") == "a wrong code"
    world.now.time += 30
    assert await world.factors.check(JOE, f"totp:{code(world)}") == ""
    await world.factors.update(JOE, id, enable=False, description=None, by=BY)
    assert world.factors.challenge(JOE) is None
    await world.factors.delete(JOE, id, by=BY)
    assert world.factors.list(JOE) == []


async def test_a_code_must_prove_the_secret(world: Any) -> None:
    for uri, value, name in ((URI, "000000", "value"), ("otpauth://totp/x", code(world), "totp")):
        with pytest.raises(InvalidInput) as caught:
            await world.factors.add_totp(JOE, uri, value, description="", by=BY)
        assert name in caught.value.parameters
    with pytest.raises(NotFound):
        await world.factors.add_totp("nobody@pve", URI, code(world), description="", by=BY)


async def test_wrong_codes_lock_codes_until_unlocked_or_a_recovery_key_is_used(world: Any) -> None:
    await with_totp(world)
    keys = (await world.factors.add_recovery(JOE, description="", by=BY))["recovery"]
    for _ in range(WRONG_CODES):
        assert await world.factors.check(JOE, "totp:000000") == "a wrong code"
    assert await world.factors.check(JOE, f"totp:{code(world)}") == "too many wrong codes"
    assert world.factors.all(Identity(JOE), lambda _: False)[0]["totp-locked"] == 1
    assert await world.factors.unlock(JOE, by=BY) and not await world.factors.unlock(JOE, by=BY)
    assert await world.factors.check(JOE, f"totp:{code(world)}") == ""
    for _ in range(WRONG_CODES):
        await world.factors.check(JOE, "totp:000000")
    assert await world.factors.check(JOE, f"recovery:{keys[0]}") == ""
    world.now.time += 30
    assert await world.factors.check(JOE, f"totp:{code(world)}") == ""


async def test_a_recovery_key_is_good_once_and_wrong_ones_lock_everything(world: Any) -> None:
    await with_totp(world)
    keys = (await world.factors.add_recovery(JOE, description="", by=BY))["recovery"]
    assert len(set(keys)) == 10
    assert await world.factors.check(JOE, f"recovery:{keys[3]}") == ""
    assert world.factors.challenge(JOE)["recovery"] == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert await world.factors.check(JOE, f"recovery:{keys[3]}") == "a wrong recovery key"
    for _ in range(WRONG_KEYS - 1):
        why = await world.factors.check(JOE, "recovery:0000-0000-0000-0000")
    assert why == "too many wrong recovery keys"
    assert await world.factors.check(JOE, f"totp:{code(world)}") == "too many wrong recovery keys"
    assert world.factors.all(Identity(JOE), lambda _: False)[0]["tfa-locked-until"] > world.now.time
    world.now.time += LOCK_SECONDS
    assert await world.factors.check(JOE, f"recovery:{keys[0]}") == ""
    with pytest.raises(Conflict):
        await world.factors.add_recovery(JOE, description="", by=BY)


async def test_other_answers_are_refused(world: Any) -> None:
    await with_totp(world)
    for answer in ("", "000000", "u2f:x", "totp:", "recovery:", "totp:\N{SNOWMAN}"):
        assert await world.factors.check(JOE, answer), answer
    assert await world.factors.check("nobody@pve", "totp:1")


async def test_it_survives_a_restart_and_tells_no_secrets(world: Any) -> None:
    await with_totp(world)
    keys = (await world.factors.add_recovery(JOE, description="", by=BY))["recovery"]
    again = Directory(world.store)
    await again.load()
    factors = SecondFactors(again, Access(again), lambda: world.now.time)
    told = msgspec.json.encode([factors.list(JOE), factors.all(Identity(JOE), lambda _: True), await again.history()])
    assert b"otpauth" not in told and base64.b32encode(KEY) not in told
    stored = b"".join([entry.value for entry in await world.store.range("access/tfa/")])
    assert not any(key.encode() in stored + told for key in keys)
    assert await factors.check(JOE, f"recovery:{keys[9]}") == ""


async def test_it_goes_with_its_user(world: Any) -> None:
    await with_totp(world)
    await world.users.delete(JOE, by=BY)
    assert world.directory.tfa == {}
    assert [entry.key for entry in await world.store.range("access/tfa/")] == []
