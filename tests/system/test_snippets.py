"""Snippets and cloud-init documents from outside, without a shell on the node: by API and as somebody types it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.daemon import ApiError, TestDaemon
from support.terminal import words_for
from support.walk import Somebody

DOCUMENT = "#cloud-config\nhostname: from-a-snippet\n"


def tarmac(daemon: TestDaemon, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    argv = words_for(daemon, *words)
    return subprocess.run(argv, input=given, capture_output=True, timeout=120, check=False, text=True)


def medium(daemon: TestDaemon, vmid: int, tmp: Path) -> bytes:
    """What is on a guest's cloud-init medium."""
    found = next(v for k, v in daemon.get(f"{daemon.qemu}/{vmid}/config").items() if "cloudinit" in str(v) and k != "x")
    source = daemon.data / "storage" / "images" / found.split(",")[0].removeprefix("local:")
    subprocess.run(["qemu-img", "convert", "-U", "-O", "raw", str(source), str(tmp / "medium")], check=True)
    return (tmp / "medium").read_bytes()


def test_a_snippet_goes_up_and_into_a_guest(daemon: TestDaemon, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(DOCUMENT)
    ran = tarmac(daemon, "storage", "upload", str(tmp_path / "own.yaml"))
    assert ran.returncode == 0, ran.stderr
    (row,) = daemon.get("/nodes/n1/storage/local/content", content="snippets")
    assert row["volid"] == "local:snippets/own.yaml"
    daemon.task("POST", daemon.qemu, vmid=800, memory=32, freeze=1, ide2="local:cloudinit", vga="none",
                cicustom="user=local:snippets/own.yaml")  # fmt: skip
    assert daemon.get(f"{daemon.qemu}/800/cloudinit/dump", type="user") == DOCUMENT
    daemon.task("POST", f"{daemon.qemu}/800/status/start")
    assert b"from-a-snippet" in medium(daemon, 800, tmp_path)
    daemon.task("POST", f"{daemon.qemu}/800/status/stop")
    # Another text under the same name is on the medium at the next start.
    (tmp_path / "own.yaml").write_text(DOCUMENT.replace("from-a", "from-another"))
    assert tarmac(daemon, "storage", "upload", str(tmp_path / "own.yaml")).returncode == 0
    daemon.task("POST", f"{daemon.qemu}/800/status/start")
    assert b"from-another-snippet" in medium(daemon, 800, tmp_path)
    daemon.task("POST", f"{daemon.qemu}/800/status/stop")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("long.yaml", b"a" * 300_000, "a snippet may have up to 256.00 KiB"),
        ("binary.yaml", b"a: \xff\n", "a snippet is a text in UTF-8"),
    ],
)
def test_what_is_no_snippet_is_refused_and_leaves_nothing(
    daemon: TestDaemon, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    ran = tarmac(daemon, "storage", "upload", str(tmp_path / name))
    assert ran.returncode != 0 and words in ran.stderr
    folder = daemon.data / "storage" / "snippets"
    assert not any(path.name.startswith((name, f".{name}")) for path in folder.glob("*"))


def test_rights(daemon: TestDaemon, tmp_path: Path) -> None:
    daemon.post("/access/users", userid="ci@pve")
    made = daemon.post("/access/users/ci@pve/token/tok", privsep=0)
    daemon.put("/access/acl", path="/vms", users="ci@pve", roles="PVEVMAdmin")
    somebody = Somebody.of_token(daemon, made["full-tokenid"], made["value"])
    named: dict[str, Any] = {"cicustom": "user=local:snippets/own.yaml"}
    status, reason, _ = somebody.call("PUT", f"{daemon.qemu}/800/config", named)
    assert (status, reason) == (
        403,
        "Permission check failed (/storage/local, Datastore.AllocateSpace|Datastore.Audit)",
    )
    daemon.put("/access/acl", path="/storage/local", users="ci@pve", roles="PVEDatastoreUser")
    assert somebody.call("PUT", f"{daemon.qemu}/800/config", named)[0] == 200
    (tmp_path / "own.yaml").write_text(DOCUMENT)
    address = (
        "--url",
        f"https://127.0.0.1:{daemon.port}",
        "--insecure",
        "--token",
        f"{made['full-tokenid']}={made['value']}",
    )
    argv = [*words_for(daemon)[:3], "storage", "upload", str(tmp_path / "own.yaml"), "--node", "n1", *address]
    ran = subprocess.run(argv, capture_output=True, timeout=60, check=False, text=True)
    assert ran.returncode != 0 and "Datastore.AllocateTemplate" in ran.stderr
    # A document of one's own needs nothing on storages.
    path = f"{daemon.qemu}/800/cloudinit/documents/user"
    assert somebody.call("PUT", path, {"content": DOCUMENT})[0] == 200
    assert somebody.call("DELETE", path)[0] == 200


def test_a_snippet_that_guests_have_is_written_over_by_whom_they_listen_to(daemon: TestDaemon, tmp_path: Path) -> None:
    daemon.post("/access/users", userid="up@pve")
    made = daemon.post("/access/users/up@pve/token/tok", privsep=0)
    daemon.put("/access/acl", path="/storage/local", users="up@pve", roles="PVEDatastoreAdmin")
    (tmp_path / "other.yaml").write_text(DOCUMENT)
    assert tarmac(daemon, "storage", "upload", str(tmp_path / "other.yaml")).returncode == 0
    daemon.put(f"{daemon.qemu}/800/config", cicustom="vendor=local:snippets/other.yaml,user=local:snippets/own.yaml")
    token = f"{made['full-tokenid']}={made['value']}"
    address = ("--url", f"https://127.0.0.1:{daemon.port}", "--insecure", "--token", token)

    def upload(name: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / name).write_text("#cloud-config\nhostname: taken-over\n")
        argv = [*words_for(daemon)[:3], "storage", "upload", str(tmp_path / name), "--node", "n1", *address]
        return subprocess.run(argv, capture_output=True, timeout=60, check=False, text=True)

    ran = upload("own.yaml")
    assert ran.returncode != 0 and "/vms/800, VM.Config.Cloudinit" in ran.stderr
    assert "taken-over" not in daemon.get(f"{daemon.qemu}/800/cloudinit/dump", type="user")
    with pytest.raises(ApiError, match="is still in use"):
        daemon.delete("/nodes/n1/storage/local/content/snippets/own.yaml")
    assert upload("new.yaml").returncode == 0
    daemon.put("/access/acl", path="/vms/800", users="up@pve", roles="PVEVMAdmin")
    assert upload("own.yaml").returncode == 0


def test_documents_as_somebody_types_them(daemon: TestDaemon, tmp_path: Path) -> None:
    daemon.put(f"{daemon.qemu}/800/config", delete="cicustom")
    (tmp_path / "user.yaml").write_text("#cloud-config\nhostname: typed\n")
    assert tarmac(daemon, "vm", "cloudinit-set", "800", "user", str(tmp_path / "user.yaml")).returncode == 0
    assert "hostname: typed" in tarmac(daemon, "vm", "cloudinit", "800", "user").stdout
    shown = json.loads(tarmac(daemon, "vm", "cloudinit-documents", "800", "-o", "json").stdout)
    assert shown == {"user": "#cloud-config\nhostname: typed\n"}
    ran = tarmac(daemon, "vm", "cloudinit-set", "800", "user", "-", given="#cloud-config\nhostname: [\n")
    assert ran.returncode != 0 and "hostname: typed" in tarmac(daemon, "vm", "cloudinit", "800", "user").stdout
    assert tarmac(daemon, "vm", "cloudinit-reset", "800", "user").returncode == 0
    assert "typed" not in tarmac(daemon, "vm", "cloudinit", "800", "user").stdout
    ran = tarmac(
        daemon, "vm", "create", "--vmid", "801", "--memory", "32", "--freeze", "1", "--vga", "none",
        "--user-data", str(tmp_path / "user.yaml"), "--start",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert b"hostname: typed" in medium(daemon, 801, tmp_path)
    with pytest.raises(ApiError):
        daemon.put(f"{daemon.qemu}/801/cloudinit/documents/network", content="version: 9\n")
