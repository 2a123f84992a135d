"""What fits: shared memory counts once, and of each clone what it may still copy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from tarmac.model.errors import HostFailure
from tarmac.model.units import GIB, MIB
from tarmac.services.guests.guests import Guest
from tarmac.services.instant.admission import OVERHEAD, CloneAdmission
from tarmac.services.instant.records import InstantRecord
from tarmac.services.lifecycle.admission import check_memory
from tarmac.services.node.memory_settings import MemoryRules

MEMORY = GIB
KEEP_FREE = 300 * MIB
ARGV = ("qemu", "-object", "memory-backend-file,id=pc.ram,size=1,mem-path=/proc/self/fd/9,share=off,prealloc=off")


def running(private: int) -> Guest:
    """A clone on its template's memory that has copied so many bytes."""
    process: Any = SimpleNamespace(record=SimpleNamespace(argv=ARGV))
    return Guest(101, "memory: 1024\n", 1, process=process, usage={"private": private})


class States:
    """As much of LiveStates as admission asks for."""

    def __init__(self, held: int, idle: int = 0) -> None:
        self._held, self.idle = held, idle

    def held(self, vmid: int) -> int:
        return self._held

    def idle_except(self, wanted: int) -> int:
        return self.idle

    async def drop_idle_except(self, wanted: int) -> int:
        freed, self.idle = self.idle, 0
        return freed


def admission(clones: dict[int, Any], *, held: int = MEMORY, reserve: int = 25, idle: int = 0) -> CloneAdmission:
    records = {vmid: InstantRecord(template=900, set="s", reserve=reserve) for vmid in clones}
    return CloneAdmission(
        guests=SimpleNamespace(find=clones.get),  # type: ignore[arg-type]
        records=SimpleNamespace(all=lambda: records),  # type: ignore[arg-type]
        states=States(held, idle),  # type: ignore[arg-type]
        settings=SimpleNamespace(rules=MemoryRules(keep_free=KEEP_FREE)),  # type: ignore[arg-type]
    )


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Any:
    figures = SimpleNamespace(available=0, total=64 * GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: figures)
    return figures


TEMPLATE = 900


async def test_ten_clones_take_a_share_each_and_the_shared_memory_once(host: Any) -> None:
    each = MEMORY // 4 + OVERHEAD["tcg"]
    host.available = KEEP_FREE + 10 * each
    await admission({}).check(TEMPLATE, MEMORY, "tcg", 10, 25)
    with pytest.raises(HostFailure):
        await admission({}).check(TEMPLATE, MEMORY, "tcg", 11, 25)
    with pytest.raises(HostFailure):
        await admission({}, held=0).check(TEMPLATE, MEMORY, "tcg", 10, 25)
    host.available += MEMORY
    await admission({}, held=0).check(TEMPLATE, MEMORY, "tcg", 10, 25)


async def test_what_was_promised_and_not_yet_taken_is_kept(host: Any) -> None:
    clones = {101: running(private=100 * MIB), 102: running(private=900 * MIB)}
    promised = admission(clones, reserve=50).outstanding()
    assert promised == 512 * MIB - 100 * MIB, "who has taken more than its share is owed nothing"
    host.available = KEEP_FREE + promised + MEMORY // 4 + OVERHEAD["kvm"]
    await admission(clones, reserve=50).check(TEMPLATE, MEMORY, "kvm", 1, 25)
    host.available -= 1
    with pytest.raises(HostFailure):
        await admission(clones, reserve=50).check(TEMPLATE, MEMORY, "kvm", 1, 25)


async def test_a_reservation_counts_all_of_it(host: Any) -> None:
    host.available = KEEP_FREE + MEMORY + OVERHEAD["kvm"] - 1
    with pytest.raises(HostFailure) as caught:
        await admission({}).check(TEMPLATE, MEMORY, "kvm", 1, 100)
    error = caught.value
    assert error.error_code == "memory-short"
    assert error.message and error.cause and error.evidence and error.fixes


def test_an_ordinary_start_leaves_the_promise_alone(host: Any) -> None:
    config: Any = SimpleNamespace(memory_mib=1024)
    host.available = KEEP_FREE + GIB
    check_memory(100, config, keep_free=KEEP_FREE)
    with pytest.raises(HostFailure) as caught:
        check_memory(100, config, keep_free=KEEP_FREE, promised=1)
    assert "promised" in caught.value.evidence


async def test_who_only_looks_takes_nobodys_memory(host: Any) -> None:
    each = MEMORY // 4 + OVERHEAD["kvm"]
    host.available = KEEP_FREE + each - MIB
    asked = admission({}, idle=MEMORY)
    await asked.check(TEMPLATE, MEMORY, "kvm", 1, 25, looking=True)
    with pytest.raises(HostFailure):
        await asked.check(TEMPLATE, MEMORY, "kvm", 10, 25, looking=True)
    assert asked._states.idle == MEMORY  # type: ignore[attr-defined]
