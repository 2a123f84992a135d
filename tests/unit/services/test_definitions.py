"""Definitions with secrets of their own."""

from __future__ import annotations

import pytest

from tarmac.drivers.store.memory import MemoryStore
from tarmac.model.errors import Conflict, InvalidInput, NotFound, TarmacError
from tarmac.model.metric_server import MetricServer
from tarmac.services.definitions import Definitions
from tarmac.services.figures.metrics import check_server

TEXTS = {"type": "influxdb", "server": "192.0.2.1", "port": "8086", "token": "hush"}


def made(store: MemoryStore) -> Definitions[MetricServer]:
    told = {"kind": "metric-servers", "noun": "metric server", "declared": MetricServer, "fixed": ("type",)}
    return Definitions(store=store, check=check_server, **told)  # type: ignore[arg-type]


async def test_a_secret_is_a_record_of_its_own_and_never_shown() -> None:
    store = MemoryStore()
    servers = made(store)
    await servers.create("a", TEXTS)
    assert servers.shown("a") == {"type": "influxdb", "server": "192.0.2.1", "port": 8086}
    assert servers.get("a").token == "hush"
    records = {entry.key: entry.value for entry in await store.range("")}
    assert [key for key, value in records.items() if b"hush" in value] == ["secrets/metric-servers/a"]
    again = made(store)
    await again.load()
    assert again.get("a") == servers.get("a") and again.digest == servers.digest
    await again.update("a", {}, delete=["token"])
    assert await store.range("secrets/") == []
    await again.create("b", TEXTS)
    await again.delete("b")
    assert [entry.key for entry in await store.range("")] == ["metric-servers/a"]


async def test_a_changed_secret_changes_the_digest_and_keeps_the_rest() -> None:
    servers = made(MemoryStore())
    await servers.create("a", TEXTS)
    before = servers.digest
    await servers.update("a", {"token": "other"}, digest=before)
    assert servers.digest != before and servers.get("a").port == 8086
    with pytest.raises(Conflict):
        await servers.update("a", {"port": "1"}, digest=before)


async def test_what_is_wrong_changes_nothing() -> None:
    servers = made(MemoryStore())
    await servers.create("a", TEXTS)
    before = servers.digest
    wrong: list[tuple[dict[str, str], list[str], type[TarmacError]]] = [
        ({"port": "x"}, [], InvalidInput),
        ({"type": "graphite"}, [], InvalidInput),
        ({}, ["type"], InvalidInput),
        ({}, ["nonsense"], InvalidInput),
        ({}, ["server"], InvalidInput),
        ({"port": "1"}, ["port"], InvalidInput),
    ]
    for texts, delete, error in wrong:
        with pytest.raises(error):
            await servers.update("a", texts, delete=delete)
    with pytest.raises(Conflict):
        await servers.create("a", TEXTS)
    with pytest.raises(TarmacError, match="not built"):
        await servers.create("b", {**TEXTS, "type": "opentelemetry"})
    with pytest.raises(NotFound):
        servers.get("b")
    assert servers.digest == before and list(servers) == ["a"]
