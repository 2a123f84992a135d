"""What only a store on a disk can promise: answered is durable, full and damaged disks are told, leases survive."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tarmac.drivers.store.journal import Journal
from tarmac.drivers.store.sqlite import SCHEMA_VERSION, SqliteStore
from tarmac.model.errors import DataCorrupt, Denied, NotFound, TarmacError, Unavailable

# Writes pairs of keys from many tasks at once and tells each number once its write was answered.
WRITER = """
import asyncio, os, sys
from pathlib import Path
from tarmac.drivers.store.sqlite import SqliteStore

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    first = int(sys.argv[2])
    async def work(lane):
        n = first + lane
        while True:
            await store.transact([], {f"a/{n}": str(n).encode() * 50, f"b/{n}": b"x"})
            os.write(1, f"{n}\\n".encode())
            n += 8
    async with asyncio.TaskGroup() as group:
        for lane in range(8):
            group.create_task(work(lane))

asyncio.run(main())
"""

# Fills a small disk, then makes room again; tells what was answered and what went wrong.
FILLER = """
import asyncio, json, sys
from pathlib import Path
from tarmac.drivers.store.sqlite import SqliteStore
from tarmac.model.errors import TarmacError

async def main():
    directory = Path(sys.argv[1])
    ballast = directory / "ballast"
    ballast.write_bytes(bytes(1 << 20))
    store = await SqliteStore.open(directory / "tarmac.db")
    answered, error = [], None
    for n in range(200):
        try:
            await store.transact([], {f"a/{n}": bytes(50_000), f"b/{n}": bytes(50_000)})
        except TarmacError as problem:
            error = problem
            break
        answered.append(n)
    keys = [e.key for e in await store.range("")]
    revision = await store.revision()
    ballast.unlink()
    after = await store.put("after", b"1")
    await store.close()
    again = await SqliteStore.open(directory / "tarmac.db")
    keys_again = [e.key for e in await again.range("")]
    await again.close()
    print(json.dumps({"answered": answered, "type": type(error).__name__, "error": error and error.as_record(),
                      "keys": keys, "revision": revision, "after": after, "keys_again": keys_again}))

asyncio.run(main())
"""


async def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "tarmac.db"
    answered: set[int] = set()
    chance = random.Random(7)
    for round_ in range(8):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(round_ * 1_000_000)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.15))  # the moment of death is the point of the test
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read()
        child.stdout.close()
        child.wait()
        answered |= {int(line) for line in (first + rest).split(b"\n") if line}
        store = await SqliteStore.open(path)
        values = {int(e.key[2:]): e.value for e in await store.range("a/")}
        partners = {int(e.key[2:]) for e in await store.range("b/")}
        assert answered <= values.keys(), "an answered write is gone"
        assert values.keys() == partners, "half of a transaction is there"
        assert all(value == str(n).encode() * 50 for n, value in values.items())
        assert await store.revision() == len(values)
        await store.close()
    assert len(answered) > 100


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "tarmac.db"
    store = await SqliteStore.open(path)
    await store.transact([], {"a": b"1", "b": b"2"})
    await store.put("a", b"3")
    before = await store.snapshot("")
    await store.close()
    store = await SqliteStore.open(path)
    assert await store.snapshot("") == before
    assert await store.put("c", b"") == 3
    await store.close()
    assert path.stat().st_mode & 0o777 == 0o600


async def test_leases_end_also_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "tarmac.db"
    store = await SqliteStore.open(path)
    lease = await store.grant(2)
    revoked = await store.grant(2)
    await store.put("held", b"1", lease=lease)
    await store.revoke(revoked)
    await store.close()
    store = await SqliteStore.open(path)
    await store.renew(lease)  # a living holder can go on
    with pytest.raises(NotFound):
        await store.renew(revoked)
    async with asyncio.timeout(10), store.watch("", since=await store.revision()) as events:
        assert (await anext(events)).value is None
    assert await store.get("held") is None
    await store.close()


async def test_readers_do_not_wait_for_a_writers_disk(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "tarmac.db")
    await store.put("a", b"1")
    writing, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow(db: sqlite3.Connection) -> None:
        db.execute("UPDATE entries SET value = x'32'")
        loop.call_soon_threadsafe(writing.set)
        go_on.wait(20)

    async with asyncio.timeout(15), asyncio.TaskGroup() as group:
        task = group.create_task(store._thread.write(slow))
        await writing.wait()
        for _ in range(20):
            found = await store.get("a")
            assert found is not None and found.value == b"1"
        assert not task.done()
        go_on.set()
    found = await store.get("a")
    assert found is not None and found.value == b"2"
    await store.close()


async def test_a_bug_in_one_write_hurts_only_its_caller(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "tarmac.db")

    def wrong(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM counter")
        raise ZeroDivisionError

    async def fails() -> None:
        with pytest.raises(ZeroDivisionError):
            await store._thread.write(wrong)

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        tasks = [group.create_task(store.put(f"k/{n}", b"")) for n in range(5)]
        group.create_task(fails())
        tasks += [group.create_task(store.put(f"l/{n}", b"")) for n in range(5)]
    assert [t.result() for t in tasks] == list(range(1, 11))
    await store.close()


async def test_a_full_disk_is_told_and_nothing_is_half_written(tmp_path: Path) -> None:
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    mount = f"mount -t tmpfs -o size=4m tarmac-test {tmp_path}"
    if subprocess.run([*unshare, "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a small file system")
    script = f'{mount} && exec "$0" -c "$1" {tmp_path}'
    done = subprocess.run([*unshare, "sh", "-c", script, sys.executable, FILLER], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["type"] == "NoSpace", found["error"]
    assert all(found["error"][part] for part in ("code", "message", "cause", "evidence", "fixes"))
    assert str(tmp_path) in found["error"]["evidence"]
    answered = found["answered"]
    assert 5 < len(answered) == found["revision"]
    assert found["keys"] == sorted([f"{kind}/{n}" for kind in "ab" for n in answered])
    assert found["after"] == found["revision"] + 1
    assert found["keys_again"] == sorted([*found["keys"], "after"])


def _all_five(error: TarmacError) -> bool:
    return bool(error.error_code and error.message and error.cause and error.evidence and error.fixes)


@pytest.mark.parametrize("opener", [SqliteStore.open, Journal.open], ids=["store", "journal"])
async def test_a_damaged_file_is_named(tmp_path: Path, opener: object) -> None:
    path = tmp_path / "tarmac.db"
    path.write_bytes(os.urandom(8192))
    before = path.read_bytes()
    with pytest.raises(DataCorrupt) as caught:
        await opener(path)  # type: ignore[operator]
    assert _all_five(caught.value) and str(path) in caught.value.evidence and str(path) in caught.value.fixes[0].text
    assert path.read_bytes() == before


async def test_a_page_damaged_in_the_middle_is_found_when_opened(tmp_path: Path) -> None:
    path = tmp_path / "tarmac.db"
    store = await SqliteStore.open(path)
    for n in range(300):
        await store.put(f"k/{n}", os.urandom(300))
    await store.close()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(os.urandom(4096))
    with pytest.raises(DataCorrupt) as caught:
        await SqliteStore.open(path)
    assert _all_five(caught.value) and str(path) in caught.value.evidence


async def test_an_older_daemon_refuses_a_newer_file(tmp_path: Path) -> None:
    path = tmp_path / "tarmac.db"
    store = await SqliteStore.open(path)
    await store.put("a", b"1")
    await store.close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    db.close()
    with pytest.raises(Unavailable) as caught:
        await SqliteStore.open(path)
    assert caught.value.error_code == "newer-schema" and _all_five(caught.value)
    assert str(SCHEMA_VERSION + 1) in caught.value.cause


async def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "tarmac.db").mkdir()
    with pytest.raises(TarmacError) as caught:
        await SqliteStore.open(tmp_path / "tarmac.db")
    assert isinstance(caught.value, Denied) and _all_five(caught.value)
    with pytest.raises(TarmacError):
        await SqliteStore.open(tmp_path / "missing" / "tarmac.db")


async def test_every_commit_is_synced_and_commits_are_shared(tmp_path: Path) -> None:
    """Counted by the kernel: a lone write is one fsync at least, a hundred at once are far fewer than a hundred."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    code = """
import asyncio, sys
from pathlib import Path
from tarmac.drivers.store.sqlite import SqliteStore
async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    async with asyncio.TaskGroup() as group:
        for n in range(int(sys.argv[2])):
            group.create_task(store.put(f"k/{n}", b"x"))
    import os; os._exit(0)
asyncio.run(main())
"""

    def syncs(writes: int) -> int:
        log = tmp_path / f"strace-{writes}"
        argv = ["strace", "-f", "-e", "trace=fsync,fdatasync", "-o", str(log), sys.executable, "-c", code]
        subprocess.run([*argv, str(tmp_path / f"{writes}.db"), str(writes)], check=True)
        return sum("sync(" in line for line in log.read_text().splitlines())

    base = syncs(0)
    assert syncs(1) == base + 1
    assert base + 1 <= syncs(100) <= base + 20
