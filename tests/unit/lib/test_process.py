"""Running tools: results, bounds, and no child left behind."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from tarmac.lib.process import run
from tarmac.model.errors import HostFailure


async def test_result_and_input() -> None:
    done = await run(["cat"], input=b"x" * 300_000)
    assert done.code == 0
    assert done.stdout == b"x" * 300_000
    assert not done.truncated


async def test_unread_input_is_no_error() -> None:
    assert (await run(["true"], input=b"x" * 1_000_000)).code == 0


async def test_failure_carries_the_tools_own_words() -> None:
    with pytest.raises(HostFailure) as caught:
        await run(["ls", "/does-not-exist"])
    assert caught.value.error_code == "tool-failed"
    assert "No such file or directory" in caught.value.evidence
    assert "exit code 2" in caught.value.cause
    assert (await run(["ls", "/does-not-exist"], ok=(2,))).code == 2


async def test_missing_tool_names_the_package() -> None:
    with pytest.raises(HostFailure) as caught:
        await run(["/nowhere/qemu-img"])
    assert caught.value.error_code == "tool-missing"
    assert caught.value.fixes[0].action == "apt-get install qemu-utils"


async def test_output_is_bounded_and_the_child_not_blocked() -> None:
    code = "import sys; sys.stdout.write('a' * 3_000_000); sys.stderr.write('b' * 3_000_000 + 'END')"
    seen = 0

    def count(chunk: bytes) -> None:
        nonlocal seen
        seen += len(chunk)

    done = await run([sys.executable, "-c", code], limit=1000, on_output=count)
    assert (len(done.stdout), len(done.stderr)) == (1000, 1000)
    assert done.stderr.endswith(b"END")
    assert done.truncated
    assert seen == 3_000_000


async def test_signal_is_named() -> None:
    with pytest.raises(HostFailure, match="failed") as caught:
        await run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
    assert "SIGKILL" in caught.value.cause


@pytest.mark.parametrize("stubborn", [False, True])
async def test_cancellation_ends_the_child_and_its_children(tmp_path: Path, stubborn: bool) -> None:
    """A shell that (perhaps) ignores SIGTERM starts a sleeper; a time limit ends both before it is reported."""
    ready = tmp_path / "ready"
    trap = "trap '' TERM; " if stubborn else ""
    script = f'{trap}sleep 1000 & echo $$ $! > "{ready}"; while :; do wait; done'

    async def victim() -> None:
        await run(["sh", "-c", script])

    async with asyncio.TaskGroup() as group:
        task = group.create_task(victim())
        pids = await _told(ready)
        task.cancel()
    for pid in pids:
        await _has_ended(pid)


async def test_a_child_that_outlives_its_parent_is_ended_too(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run(["sh", "-c", f'sleep 1000 & echo $! > "{ready}"']))
        (pid,) = await _told(ready)
        task.cancel()
    await _has_ended(pid)


async def test_cancellation_at_any_moment_ends_the_call(tmp_path: Path) -> None:
    """Also while the process is being started, with a child that would hold the pipes."""
    for number in range(30):
        script = f'sleep 1000 & echo $! > "{tmp_path}/{number}"; wait'
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                async with asyncio.timeout(number * 0.0005):
                    await run(["sh", "-c", script], grace=0)
    for path in tmp_path.iterdir():
        if text := path.read_text():
            await _has_ended(int(text))


async def _told(path: Path) -> list[int]:
    """The pids of the line in a file that comes to be. Not a FIFO: who waits for one can be ended by nobody."""
    async with asyncio.timeout(20):
        while not path.exists() or not (text := path.read_text()).endswith("\n"):
            await asyncio.sleep(0.005)
    return [int(word) for word in text.split()]


async def _has_ended(pid: int) -> None:
    """SIGKILL has been sent when `run` returns; a child of the child may need an instant to die of it."""
    async with asyncio.timeout(2):
        while _runs(pid):
            await asyncio.sleep(0.001)


def _runs(pid: int) -> bool:
    """Whether the process executes; one that only waits for its reaper does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


async def test_environment_is_added_to_and_messages_are_untranslated() -> None:
    done = await run(["env"], env={"TARMAC_X": "1"})
    lines = done.text.splitlines()
    assert "TARMAC_X=1" in lines
    assert "LC_ALL=C" in lines


async def test_own_session() -> None:
    done = await run([sys.executable, "-c", "import os; print(os.getsid(0) == os.getpid())"])
    assert done.text.strip() == "True"
    assert signal.getsignal(signal.SIGCHLD) in (signal.SIG_DFL, None)
