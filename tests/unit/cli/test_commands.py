"""Commands from the API's declarations: words, parameters, paths, replies, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from support.api_server import UPID, Reply
from tarmac.faces.cli import declared
from tarmac.faces.cli.catalog import HAND_WRITTEN
from tarmac.faces.cli.listing import everything

GUESTS = [
    {"vmid": 9, "name": "evil\x1b]0;owned\x07", "status": "stopped", "maxmem": 512 << 20, "cpus": 1, "uptime": 0},
    {"vmid": 100, "name": "web", "status": "running", "maxmem": 1 << 30, "cpus": 2, "uptime": 93784},
]


def test_list_as_table(daemon, tarmac):
    daemon.answer("GET", "/nodes/pve1/qemu", GUESTS)
    ran = tarmac("vm", "list")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0].split() == ["VMID", "NAME", "STATUS", "CPUS", "MAXMEM", "UPTIME"]
    assert lines[2].split() == ["100", "web", "running", "2", "1", "GiB", "1d", "2h"]
    assert "\x1b" not in ran.out and "\x07" not in ran.out, "a guest's name must not command the terminal"


@pytest.mark.parametrize("place", ["before", "after"])
def test_list_as_json_is_the_reply(daemon, tarmac, place):
    daemon.answer("GET", "/nodes/pve1/qemu", GUESTS)
    words = ["-o", "json", "vm", "list"] if place == "before" else ["vm", "list", "--output", "json"]
    ran = tarmac(*words)
    assert ran.json == GUESTS
    assert "\x1b" not in ran.out


def test_list_as_yaml(daemon, tarmac):
    import yaml

    daemon.answer("GET", "/nodes/pve1/qemu", GUESTS)
    assert yaml.safe_load(tarmac("vm", "list", "-o", "yaml").out) == GUESTS


def test_guests_are_listed_by_their_numbers(daemon, tarmac):
    daemon.answer("GET", "/nodes/pve1/qemu", GUESTS[::-1])
    assert tarmac("vm", "list", "-o", "json").json == GUESTS


def test_running_tasks_are_listed_too(daemon, tarmac):
    daemon.answer("GET", "/nodes/pve1/tasks", [])
    assert tarmac("task", "list").code == 0
    assert tarmac("task", "list", "--source", "archive").code == 0
    asked = [request.params for request in daemon.of("GET", "/nodes/pve1/tasks")]
    assert [params["source"] for params in asked] == [["all"], ["archive"]]


@pytest.mark.parametrize("words", [("vm", "set", "100"), ("vm", "create")])
@pytest.mark.parametrize("flag", ["--numa", "--hostpci0=0000:01:00.0"])
def test_what_is_known_and_not_built_is_refused_by_name(tarmac, words, flag):
    ran = tarmac(*words, flag, "1")
    assert ran.code == 8
    assert f"{flag.partition('=')[0]} is known" in ran.err


def test_what_is_no_task_is_said_at_once(daemon, tarmac):
    ran = tarmac("task", "show", "UPID:x")
    assert (ran.code, daemon.asked) == (2, [])
    assert "not a task's id" in ran.err


def test_start_waits_for_the_task(daemon, tarmac):
    daemon.answer("POST", "/nodes/pve1/qemu/100/status/start", UPID)
    daemon.task(UPID, {"status": "running"}, {"status": "stopped", "exitstatus": "OK"})
    ran = tarmac("vm", "start", "100")
    assert (ran.code, ran.out) == (0, "")
    assert "vm start 100: done" in ran.err
    assert len(daemon.of("GET", f"/nodes/pve1/tasks/{UPID}/status")) == 2


def test_what_waits_for_the_next_start_is_said(daemon, tarmac):
    daemon.answer("POST", "/nodes/pve1/qemu/100/config", UPID)
    daemon.task(UPID)
    rows = [
        {"key": "name", "value": "a"},
        {"key": "memory", "value": "1", "pending": "2"},
        {"key": "rng0", "delete": 1},
    ]
    daemon.answer("GET", "/nodes/pve1/qemu/100/pending", rows)
    assert (
        "waits for the next start: memory, rng0  (tarmac vm reboot 100)"
        in tarmac("vm", "set", "100", "--memory", "2").err
    )
    assert "waits" not in tarmac("-q", "vm", "set", "100", "--memory", "2").err


def test_the_numbers_of_new_guests_are_told(daemon, tarmac):
    daemon.answer("POST", "/nodes/pve1/qemu/100/clone", UPID)
    result = {"vmids": [101, 102], "times": {"101": {"start": 0.08, "done": 0.796}}}
    daemon.task(UPID, {"status": "stopped", "exitstatus": "OK", "result": result})
    ran = tarmac("vm", "clone", "100", "--instant", "--count", "2")
    assert ran.err.endswith("vm clone 100: done\nguest 101: 0.80 s\nguest 102\n")


def test_the_warnings_of_a_task_are_shown(daemon, tarmac):
    daemon.answer("POST", "/nodes/pve1/qemu/100/status/start", UPID)
    lines = ("12:00:00 launch", "12:00:01 WARN: nothing is filtered yet", "TASK WARNINGS: 1")
    daemon.task(UPID, {"status": "stopped", "exitstatus": "WARNINGS: 1"}, lines=lines)
    ran = tarmac("vm", "start", "100")
    assert ran.code == 0
    assert ran.err == "Warning: nothing is filtered yet\nvm start 100: done, with warnings\n"


def test_a_daemon_that_goes_away_while_a_task_is_waited_for(daemon, tarmac):
    daemon.answer("POST", "/nodes/pve1/qemu/100/status/start", UPID)
    gone = Reply(status=503, raw=json.dumps({"error": {"message": "gone", "kind": "unavailable"}}).encode())
    daemon.answer("GET", f"/nodes/pve1/tasks/{UPID}/status", gone)
    ran = tarmac("vm", "start", "100")
    assert ran.code == 10
    assert "finished or undone" in ran.err and f"tarmac task show {UPID}" in ran.err


def test_no_wait_prints_the_upid(daemon, tarmac):
    daemon.answer("POST", "/nodes/pve1/qemu/100/status/start", UPID)
    ran = tarmac("vm", "start", "100", "--no-wait")
    assert (ran.code, ran.out.strip()) == (0, UPID)


def test_a_guest_by_its_name(daemon, tarmac):
    rows = [{"type": "qemu", "vmid": 100, "name": "web", "node": "pve2"}]
    daemon.answer("GET", "/cluster/resources", rows)
    daemon.answer("POST", "/nodes/pve2/qemu/100/status/stop", UPID)
    daemon.task()
    assert tarmac("vm", "stop", "web").code == 0
    assert daemon.of("POST", "/nodes/pve2/qemu/100/status/stop")


def test_an_ambiguous_name_is_refused(daemon, tarmac):
    rows = [{"type": "qemu", "vmid": number, "name": "web", "node": "pve1"} for number in (100, 101)]
    daemon.answer("GET", "/cluster/resources", rows)
    ran = tarmac("vm", "stop", "web")
    assert ran.code == 2
    assert "100, 101" in ran.err


def test_a_failed_task_shows_the_five_parts(daemon, tarmac):
    error = {
        "kind": "host-failure",
        "code": "port-taken",
        "message": "guest 100 cannot start",
        "cause": "port 2222 is taken",
        "evidence": "Could not set up host forwarding rule",
        "fixes": [
            {"text": "take another port", "action": "PUT /nodes/pve1/qemu/100/config", "parameters": {"net0": "virtio"}}
        ],
    }
    daemon.answer("POST", "/nodes/pve1/qemu/100/status/start", UPID)
    daemon.task(UPID, {"status": "stopped", "exitstatus": "guest 100 cannot start", "error": error})
    ran = tarmac("vm", "start", "100")
    assert ran.code == 7
    assert ran.err == (
        "Error: guest 100 cannot start\n"
        "  Cause:    port 2222 is taken\n"
        "  Evidence: Could not set up host forwarding rule\n"
        "  Fix:      take another port  [tarmac vm set 100 --net0 virtio]\n"
    )


def test_a_failed_task_without_parts_shows_its_log(daemon, tarmac):
    daemon.answer("POST", "/nodes/pve1/qemu/100/status/start", UPID)
    daemon.task(UPID, {"status": "stopped", "exitstatus": "it broke"}, lines=("one", "two", "TASK ERROR: it broke"))
    ran = tarmac("vm", "start", "100")
    assert ran.code == 7
    assert "Error: it broke" in ran.err and "two" in ran.err and f"tarmac task log {UPID}" in ran.err


def test_indexed_and_capital_parameters(daemon, tarmac):
    spec = declared.table()["vm set"]
    daemon.answer(spec["method"], "/nodes/pve1/qemu/100/config", UPID if spec["returns"] == "upid" else None)
    daemon.task()
    assert tarmac("vm", "set", "100", "--net0", "virtio,bridge=vmbr0", "--net31", "virtio", "--onboot").code == 0
    asked = daemon.of(spec["method"], "/nodes/pve1/qemu/100/config")[0]
    assert asked.params == {"net0": ["virtio,bridge=vmbr0"], "net31": ["virtio"], "onboot": ["1"]}
    daemon.answer("POST", "/nodes/pve1/qemu/100/status/shutdown", UPID)
    assert tarmac("vm", "shutdown", "100", "--force-stop", "--timeout", "5").code == 0
    assert daemon.of("POST", "/nodes/pve1/qemu/100/status/shutdown")[0].params == {"forceStop": ["1"], "timeout": ["5"]}


@pytest.mark.parametrize("words", [["--net32", "virtio"], ["--nonsense", "1"], ["--onboot=maybe"]])
def test_wrong_parameters_are_refused_before_anything_is_asked(daemon, tarmac, words):
    ran = tarmac("vm", "set", "100", *words)
    assert ran.code == 2
    assert ran.err.startswith("Error: ")
    assert not daemon.asked


def test_dryrun_shows_the_plan(daemon, tarmac):
    plan = {"steps": [{"step": "guest-launch", "title": "start QEMU"}], "effects": []}
    daemon.answer("POST", "/nodes/pve1/qemu/100/status/start", plan)
    ran = tarmac("vm", "start", "100", "--dryrun", "-o", "json")
    assert ran.json == plan
    assert daemon.of("POST", "/nodes/pve1/qemu/100/status/start")[0].params == {"dryrun": ["1"]}


ANSWERS = [
    (
        Reply(status=400, reason="Parameter verification failed.", extra={"errors": {"memory": "too small"}}),
        2,
        "memory: too small",
    ),
    (
        Reply(status=500, reason="Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist"),
        3,
        "does not exist",
    ),
    (Reply(status=401, reason="No ticket", raw=b""), 4, "No ticket"),
    (Reply(status=403, reason="Permission check failed (/vms/100, VM.PowerMgmt)"), 4, "VM.PowerMgmt"),
    (Reply(status=500, reason="VM 100 already running"), 5, "already running"),
    (Reply(status=595, reason="No route to host"), 6, "No route"),
    (Reply(status=501, reason="Method 'POST /x' not implemented"), 8, "not implemented"),
    (Reply(status=500, reason="x", extra={"error": {"kind": "no-space", "code": "y", "message": "full"}}), 9, "full"),
    (
        Reply(status=500, reason="x", extra={"error": {"kind": "busy", "code": "past-no-return", "message": "late"}}),
        5,
        "late",
    ),
]


@pytest.mark.parametrize(("reply", "code", "text"), ANSWERS)
def test_refusals_and_their_exit_codes(daemon, tarmac, reply, code, text):
    daemon.answer("POST", "/nodes/pve1/qemu/100/status/start", reply)
    ran = tarmac("vm", "start", "100")
    assert ran.code == code
    assert text in ran.err
    assert ran.out == ""


def test_an_error_as_json(daemon, tarmac):
    daemon.answer("POST", "/nodes/pve1/qemu/100/status/start", Reply(status=500, reason="no such guest"))
    ran = tarmac("vm", "start", "100", "-o", "json")
    told = json.loads(ran.err)["error"]
    assert (told["kind"], told["exit"], told["message"]) == ("not-found", 3, "no such guest")


def test_chunked_replies(daemon, tarmac):
    body = json.dumps({"data": GUESTS}).encode()
    daemon.answer("GET", "/nodes/pve1/qemu", Reply(raw=body, headers={"Transfer-Encoding": "chunked"}))
    assert tarmac("vm", "list", "-o", "json").json == GUESTS


def test_no_daemon(tarmac, tmp_path, monkeypatch):
    monkeypatch.delenv("TARMAC_URL", raising=False)
    ran = tarmac("vm", "list", "--data-dir", str(tmp_path))
    assert ran.code == 6
    assert f"tarmac up --data-dir {tmp_path}" in ran.err
    (tmp_path / "runtime").write_text(f"{tmp_path}\n")
    ran = tarmac("vm", "list", "--data-dir", str(tmp_path))
    assert ran.code == 6
    assert "does not answer" in ran.err


@pytest.mark.parametrize("words", [["vm", "nonsense"], ["nonsense"], ["vm", "start"], ["--nonsense", "vm", "list"]])
def test_words_that_mean_nothing(tarmac, words):
    ran = tarmac(*words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("Error: ")


@pytest.mark.parametrize("words", sorted(everything()))
def test_every_command_has_its_help(tarmac, words):
    ran = tarmac(*words.split(), "--help")
    assert ran.code == 0
    assert f"tarmac {words}" in ran.out


def test_the_words_that_scripts_rely_on():
    """From the specification of the command line; a word that is gone breaks somebody's script."""
    vm = "create list show start stop shutdown reboot reset suspend resume delete config set pending resize console"
    promised = {f"vm {verb}" for verb in f"{vm} exec ssh cp screenshot showcmd".split()}
    promised |= {"image build", "image pull", "image list", "storage list", "storage content", "storage upload"}
    promised |= {"node list", "node status", "task list", "task log", "task follow", "task cancel"}
    promised |= {"user list", "user add", "user delete", "user passwd", "token add", "serve", "up", "install-service"}
    promised |= {"uninstall", "completion", "version"}
    assert not promised - set(everything())


def test_every_hand_written_command_is_there():
    from importlib import import_module

    for words, entry in HAND_WRITTEN.items():
        assert callable(getattr(import_module(f"tarmac.faces.cli.written.{entry.module}"), entry.function)), words


def test_listing_imports_nothing_heavy(daemon):
    """The start's budget, by what is imported and not by the clock. A process of its own, as a user's would be."""
    daemon.answer("GET", "/nodes/pve1/qemu", GUESTS)
    code = (
        "import sys; from tarmac.faces.cli.main import main; code = main(['vm', 'list']);"
        "print(sorted(m for m in sys.modules if '.' not in m), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ), check=False
    )
    assert done.returncode == 0, done.stderr
    assert "web" in done.stdout
    imported = set(eval(done.stderr))  # noqa: S307 - our own print of a list
    heavy = {
        "aiohttp",
        "asyncio",
        "cryptography",
        "rich",
        "yaml",
        "msgspec",
        "http",
        "email",
        "ssl",
        "dataclasses",
        "shutil",
        "bz2",
        "inspect",
    }
    assert not heavy & imported
    assert len(imported) < 90


def test_a_reader_that_goes_away_is_no_error(daemon):
    daemon.answer("GET", "/nodes/pve1/qemu", GUESTS * 5000)
    script = f"{sys.executable} -m tarmac.faces.cli.main vm list; echo code=$? >&2"
    done = subprocess.run(["bash", "-c", f"({script}) | head -1"], capture_output=True, text=True, check=False)
    assert done.stderr == "code=0\n"


def test_version_works_without_a_daemon(tarmac, tmp_path):
    ran = tarmac("version", "--data-dir", str(tmp_path), "-o", "json")
    assert ran.code == 0
    assert set(ran.json) == {"tarmac", "api"}


def test_commands_json_is_what_the_api_declares():
    from tarmac.faces.generate.files import contents

    path = declared.FILE
    assert contents()[path] == path.read_text()
