"""One QEMU process: started confined, watched, seen to end, and refused with its own words when it cannot start."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tarmac.drivers.qemu.cgroups import detect
from tarmac.drivers.qemu.launch import LOG_NAME, prepare_runtime_dir
from tarmac.drivers.qemu.process import qmp_pair, spawn
from tarmac.drivers.qemu.record import RECORD_NAME, read_record, start_time_of
from tarmac.model.errors import HostFailure, InvalidInput, OutcomeUnknown, Unavailable

from .conftest import GUEST_UID, ROOT, UUID, Start, argv_for

needs_root = pytest.mark.skipif(not ROOT, reason="needs root: a guest's own user, cgroups")


async def test_starts_answers_and_quits(start: Start) -> None:
    guest = await start()
    qmp = guest.monitor()
    assert await qmp.query_uuid() == UUID
    assert await qmp.query_status() == "prelaunch"
    assert guest.record.qemu_version == await qmp.query_version()
    with guest.events("SHUTDOWN") as events:
        await qmp.quit()
        await guest.exited.wait()
        assert [event.name async for event in events] == ["SHUTDOWN"]
    assert guest.exit_code == 0
    with pytest.raises(Unavailable) as caught:
        guest.monitor()
    assert caught.value.cause == "QEMU has ended"


async def test_record_is_what_the_process_is(start: Start, place: Path) -> None:
    guest = await start("101")
    record = None
    async with asyncio.timeout(30):
        while record is None or not record.answered:  # that it has answered is noted while the start goes on
            record = read_record(place / "101")
            await asyncio.sleep(0.01)
    assert record == guest.record
    assert (record.uuid, record.answered, record.label) == (UUID, True, "VM 101")
    assert record.start_time == start_time_of(guest.pid)
    assert record.argv[0] == "qemu-system-x86_64"


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


@needs_root
async def test_confinement_is_really_on(start: Start, place: Path) -> None:
    guest = await start(groups=(261_777,))
    status = _status(guest.pid)
    assert status["Seccomp"] == "2"
    assert status["NoNewPrivs"] == "1"
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {str(GUEST_UID)}
    assert status["Groups"].split() == ["261777"]
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert status["Umask"] == "0077"
    assert os.getsid(guest.pid) == guest.pid
    limits = Path(f"/proc/{guest.pid}/limits").read_text()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]
    assert (place / "100" / "qmp.sock").stat().st_mode & 0o077 == 0
    assert os.readlink(f"/proc/{guest.pid}/fd/0") == "/dev/null"
    assert {os.readlink(f"/proc/{guest.pid}/fd/{fd}") for fd in (1, 2)} == {str(place / "100" / LOG_NAME)}


@needs_root
async def test_guest_cannot_touch_its_record_or_log(start: Start, place: Path) -> None:
    await start()
    for name in (RECORD_NAME, LOG_NAME):
        command = ["rm", "-f", str(place / "100" / name)]
        done = subprocess.run(command, user=GUEST_UID, group=GUEST_UID, extra_groups=[], capture_output=True)
        assert b"Operation not permitted" in done.stderr


@needs_root
async def test_runs_in_its_own_cgroup_from_the_first_instruction(start: Start) -> None:
    groups = detect()
    assert groups.kind != "none"
    group = groups.open(f"test{os.getpid()}", "100")
    guest = await start(cgroup=group)
    try:
        assert list(group.pids()) == [guest.pid]
        assert guest.record.cgroup == group.name
        memory, threads = group.usage().memory_bytes, group.usage().processes
        # QEMU's own start took several MiB: had it been moved later, they would be charged elsewhere.
        assert memory is not None and memory > 2 * 1024 * 1024
        assert threads is not None and threads >= 2
        await guest.kill()
        assert guest.exit_code == -signal.SIGKILL
        async with asyncio.timeout(5):
            while group.remove():
                await asyncio.sleep(0.01)
        assert group.pids() == ()
    finally:
        groups.close(f"test{os.getpid()}")


async def test_killed_from_outside_is_seen_at_once(start: Start) -> None:
    guest = await start()
    events = guest.events()
    os.kill(guest.pid, signal.SIGKILL)
    async with asyncio.timeout(2):
        await guest.exited.wait()
        assert [event async for event in events] == []
    assert guest.exit_code == -signal.SIGKILL
    assert not Path(f"/proc/{guest.pid}").exists(), "our child must be reaped"


async def test_command_in_flight_when_qemu_dies_has_an_unknown_outcome(start: Start) -> None:
    guest = await start()
    os.kill(guest.pid, signal.SIGSTOP)
    qmp = guest.monitor()
    async with asyncio.TaskGroup() as group:
        changing = group.create_task(_error_of(qmp.cont()))
        asking = group.create_task(_error_of(qmp.query_status()))
        await asyncio.sleep(0)
        os.kill(guest.pid, signal.SIGKILL)
    assert isinstance(changing.result(), OutcomeUnknown)
    assert isinstance(asking.result(), Unavailable)
    assert changing.result().error_code == "qmp-connection-lost"


async def _error_of(work: object) -> HostFailure | OutcomeUnknown | Unavailable:
    try:
        await work  # type: ignore[misc]
    except (HostFailure, OutcomeUnknown, Unavailable) as error:
        return error
    raise AssertionError("should have failed")


async def test_refused_command_carries_class_and_text(start: Start) -> None:
    qmp = (await start()).monitor()
    with pytest.raises(HostFailure) as caught:
        await qmp.device_del("nobody")
    assert caught.value.error_code == "qmp-device-not-found"
    assert caught.value.message == "VM 100 qmp command 'device_del' failed - Device 'nobody' not found"
    with pytest.raises(HostFailure) as caught:
        await qmp.execute("no-such-command")
    assert caught.value.error_code == "qmp-command-not-found"
    assert await qmp.query_status() == "prelaunch"


async def test_descriptor_is_handed_over(start: Start, tmp_path: Path) -> None:
    guest = await start()
    with (tmp_path / "named").open("w") as file:
        await guest.monitor().getfd("fd0", file.fileno())
    open_files = {os.readlink(path) for path in Path(f"/proc/{guest.pid}/fd").iterdir()}
    assert str(tmp_path / "named") in open_files
    await guest.monitor().execute("closefd", {"fdname": "fd0"})


async def test_failing_start_leaves_nothing_and_says_why(start: Start, place: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(HostFailure) as caught:
        await start("100", machine="pc-i440fx-99.0")
    assert caught.value.error_code == "qemu-machine-unknown"
    assert "unsupported machine type" in caught.value.evidence
    assert caught.value.fixes
    assert read_record(place / "100") is None
    assert set(os.listdir("/proc/self/fd")) == before


async def test_missing_qemu(place: Path) -> None:
    prepare_runtime_dir(place / "100")
    ours, theirs = qmp_pair()
    with pytest.raises(HostFailure) as caught:
        await spawn(["/nowhere/qemu"], runtime_dir=place / "100", qmp_socket=ours, pass_fds=(theirs,))
    assert caught.value.error_code == "qemu-missing"


async def test_locked_disk_names_the_file(start: Start, place: Path) -> None:
    disk = place / "disk.raw"
    disk.write_bytes(b"\0" * 1024 * 1024)
    shutil.chown(disk, GUEST_UID)
    node = (
        "-blockdev",
        f"driver=raw,node-name=d,file.driver=file,file.filename={disk}",
        "-device",
        "virtio-blk,drive=d",
    )
    await start("100", *node, machine="pc")
    with pytest.raises(HostFailure) as caught:
        await start("101", *node, machine="pc")
    assert caught.value.error_code == "qemu-disk-locked"
    assert str(disk) in caught.value.cause


@needs_root
async def test_disk_that_the_guests_user_may_not_open(start: Start, place: Path) -> None:
    disk = place / "disk.raw"
    disk.write_bytes(b"\0" * 1024 * 1024)
    disk.chmod(0o600)
    with pytest.raises(HostFailure) as caught:
        await start("100", "-blockdev", f"driver=file,node-name=d,filename={disk}", machine="pc")
    assert caught.value.error_code == "qemu-disk-permission"
    assert str(disk) in caught.value.cause


async def test_cancelled_start_leaves_no_process(place: Path) -> None:
    """A QEMU that never speaks on QMP (here: a sleeper in its place), and a caller whose deadline passes."""
    runtime = place / "100"
    prepare_runtime_dir(runtime)
    ours, theirs = qmp_pair()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await spawn(["sleep", "1000"], runtime_dir=runtime, qmp_socket=ours, pass_fds=(theirs,))
    assert read_record(runtime) is None
    assert b"sleep\x001000" not in {
        path.read_bytes()[:10] for path in Path("/proc").glob("[0-9]*/cmdline") if _ours(path)
    }


def _open_files() -> dict[str, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            found[name] = os.readlink(f"/proc/self/fd/{name}")
    return found


def _ours(cmdline: Path) -> bool:
    try:
        return _status(int(cmdline.parent.name))["PPid"] == str(os.getpid())
    except FileNotFoundError:
        return False


async def test_start_cancelled_at_any_moment_leaves_nothing(place: Path) -> None:
    """Cancel at many different moments: no child, no descriptor, no record may remain."""
    before = _open_files()
    for number in range(25):
        runtime = place / str(number)
        prepare_runtime_dir(runtime)
        ours, theirs = qmp_pair()
        argv = argv_for(runtime, theirs)
        try:
            async with asyncio.timeout(number * 0.003):
                guest = await spawn(argv, runtime_dir=runtime, qmp_socket=ours, pass_fds=(theirs,))
            await guest.kill()
            await guest.close()
            (runtime / RECORD_NAME).unlink()
        except TimeoutError:
            pass
        assert read_record(runtime) is None
    await asyncio.sleep(0)  # a transport closes its socket one turn later
    assert _open_files() == before
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert not [pid for pid in children if "qemu" in Path(f"/proc/{pid}/cmdline").read_text()]


async def test_log_is_bounded(start: Start, place: Path) -> None:
    guest = await start()
    log = place / "100" / LOG_NAME
    # What floods the log is QEMU's own descriptor, opened for appending: write through it.
    with open(f"/proc/{guest.pid}/fd/2", "ab") as words:
        words.write(b"0123456789abcde\n" * 200_000)
    assert guest.trim_log() is True
    assert log.stat().st_size <= 256 * 1024
    assert guest.trim_log() is False
    assert guest.last_words(32) == "0123456789abcde\n" * 2


def test_long_runtime_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        prepare_runtime_dir(tmp_path / ("x" * 100))
    assert caught.value.error_code == "runtime-path-too-long"


async def test_fifty_starts_in_parallel(start: Start) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(start(str(number))) for number in range(100, 150)]
    assert len({task.result().pid for task in tasks}) == 50
