"""`tarmac vm create` and the images: what is filled in, and in which order things happen."""

from __future__ import annotations

import hashlib

import pytest

from support.api_server import UPID, Reply
from tarmac.faces.cli.errors import CliError
from tarmac.faces.cli.written.vm_create import complete, encoded_keys

KEY = "ssh-ed25519 AAAAC3Nza+/x= me@here"
CONTENT = "/nodes/pve1/storage/local/content"


@pytest.fixture
def host(daemon):
    daemon.answer("GET", CONTENT, [{"volid": "local:import/debian-12.qcow2", "format": "qcow2"}])
    daemon.answer("GET", "/cluster/nextid", "123")
    daemon.answer("POST", "/nodes/pve1/qemu", UPID)
    daemon.answer("PUT", "/nodes/pve1/qemu/123/resize", UPID)
    daemon.answer("POST", "/nodes/pve1/qemu/123/status/start", UPID)
    daemon.task()
    return daemon


def test_create_in_one_line(host, tarmac, tmp_path):
    (tmp_path / "key.pub").write_text(f"# mine\n{KEY}\n")
    words = ["--name", "web", "--image", "debian-12", "--memory", "1024", "--cores", "2", "--ciuser", "anna"]
    words += ["--sshkeys", str(tmp_path / "key.pub"), "--disk-size", "8G", "--start", "--wait"]
    ran = tarmac("vm", "create", *words)
    assert (ran.code, ran.out) == (0, "123\n"), ran.err
    made = {name: values[0] for name, values in host.of("POST", "/nodes/pve1/qemu")[0].params.items()}
    assert made == {
        "vmid": "123",
        "name": "web",
        "memory": "1024",
        "cores": "2",
        "ciuser": "anna",
        "sshkeys": "ssh-ed25519%20AAAAC3Nza%2B%2Fx%3D%20me%40here",
        "scsi0": "local:0,import-from=local:import/debian-12.qcow2,discard=on",
        "scsihw": "virtio-scsi-single",
        "boot": "order=scsi0",
        "ostype": "l26",
        "serial0": "socket",
        "agent": "1",
        "rng0": "source=/dev/urandom",
        "net0": "virtio",
        "ide2": "local:cloudinit",
        "ipconfig0": "ip=dhcp",
    }
    changes = [one.path.rpartition("/")[2] for one in host.asked if one.method != "GET"]
    assert changes == ["qemu", "resize", "start"]
    assert host.of("PUT", "/nodes/pve1/qemu/123/resize")[0].params == {"disk": ["scsi0"], "size": ["8G"]}


def test_create_without_an_image_takes_the_keys_as_they_are(host, tarmac):
    ran = tarmac("vm", "create", "--vmid", "123", "--scsi0", "local:4", "--net0", "e1000,bridge=vmbr1", "-o", "json")
    assert ran.json == {"vmid": 123, "node": "pve1", "upid": UPID}
    made = host.of("POST", "/nodes/pve1/qemu")[0].params
    assert made == {"vmid": ["123"], "scsi0": ["local:4"], "net0": ["e1000,bridge=vmbr1"]}


def test_what_was_said_is_not_changed():
    said = {
        "serial0": "none",
        "agent": "0",
        "boot": "order=net0",
        "net3": "virtio",
        "sata1": "pool:cloudinit",
        "ciuser": "a",
    }
    full, disk = complete({"scsi0": "local:1", **said}, "local:import/x.qcow2", "pool")
    assert disk == "virtio0"
    assert full["virtio0"].startswith("pool:0,import-from=local:import/x.qcow2")
    assert {key: full[key] for key in said} == said
    assert "net0" not in full and "ide2" not in full


def test_an_image_that_is_missing(host, tarmac):
    ran = tarmac("vm", "create", "--image", "tiny")
    assert ran.code == 3
    assert "tarmac image build tiny" in ran.err
    assert not host.of("POST", "/nodes/pve1/qemu")


@pytest.mark.parametrize("words", [["--start", "--no-wait"], ["--disk-size", "3G"]])
def test_what_cannot_be_combined(host, tarmac, words):
    assert tarmac("vm", "create", *words).code == 2
    assert not host.of("POST", "/nodes/pve1/qemu")


def test_keys():
    assert encoded_keys(KEY) == "ssh-ed25519%20AAAAC3Nza%2B%2Fx%3D%20me%40here"
    with pytest.raises(CliError, match="cannot read"):
        encoded_keys("/nowhere/key.pub")


def test_a_private_key_never_leaves_the_machine(tmp_path):
    secret = tmp_path / "id"
    secret.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n")
    with pytest.raises(CliError, match="private key"):
        encoded_keys(str(secret))


def test_build_is_done_when_the_image_is_there(host, tarmac):
    assert tarmac("image", "build", "debian-12").code == 0
    assert not [one for one in host.asked if one.method == "POST"]
    host.answer("POST", "/nodes/pve1/image-build", UPID)
    assert tarmac("image", "build", "debian-12", "--force").code == 0
    assert host.of("POST", "/nodes/pve1/image-build")[0].params["name"] == ["debian-12"]


def test_pull(host, tarmac):
    path = "/nodes/pve1/storage/local/download-url"
    host.answer("POST", path, UPID)
    assert tarmac("image", "pull", "https://example.org/a%20b/x.qcow2", "--checksum", "a" * 64).code == 0
    assert host.of("POST", path)[0].params == {
        "url": ["https://example.org/a%20b/x.qcow2"],
        "filename": ["x.qcow2"],
        "content": ["import"],
        "checksum": ["a" * 64],
        "checksum-algorithm": ["sha256"],
    }
    assert tarmac("image", "pull", "debian-12").code == 2
    assert tarmac("image", "pull", "https://example.org/noble.img").code == 2


UPLOADS = "/nodes/pve1/storage/local/uploads"
ONE = f"{UPLOADS}/{'ab' * 16}"


def stands(offset, **headers):
    return Reply(raw=b"", headers={"Upload-Offset": str(offset), **headers})


def test_an_upload_goes_on_where_the_server_says(host, tarmac, tmp_path):
    content = b"\x00\r\n--x" * 400_000
    (tmp_path / "x.iso").write_bytes(content)
    host.answer("GET", UPLOADS, [])
    host.answer("POST", UPLOADS, {"upload": "ab" * 16, "offset": 0})
    # Only a part was taken, and then the offset is not where the client takes it to be.
    refused = Reply(status=409, reason="the upload stands at 7")
    host.answer("PATCH", ONE, [stands(1000), refused, stands(len(content), **{"Tarmac-Task": UPID})])
    host.answer("HEAD", ONE, stands(7))
    ran = tarmac("storage", "upload", str(tmp_path / "x.iso"))
    assert ran.code == 0, ran.err
    assert host.of("POST", UPLOADS)[0].params == {
        "content": ["iso"],
        "filename": ["x.iso"],
        "size": [str(len(content))],
        "checksum-algorithm": ["sha256"],
        "checksum": [hashlib.sha256(content).hexdigest()],
    }
    sent = host.of("PATCH", ONE)
    assert [(int(one.headers["upload-offset"]), one.body) for one in sent] == [
        (0, content),
        (1000, content[1000:]),
        (7, content[7:]),
    ]


def test_an_upload_that_an_earlier_call_began_is_gone_on_with(host, tarmac, tmp_path):
    (tmp_path / "x.iso").write_bytes(b"0123456789")
    same = {"upload": "ab" * 16, "content": "iso", "filename": "x.iso", "size": 10, "offset": 4}
    same |= {"checksum": hashlib.sha256(b"0123456789").hexdigest(), "checksum-algorithm": "sha256"}
    others = [{**same, "upload": "c" * 32, "checksum": "0" * 64}, {**same, "upload": "d" * 32, "task": UPID}]
    host.answer("GET", UPLOADS, [*others, same])
    host.answer("PATCH", ONE, stands(10, **{"Tarmac-Task": UPID}))
    assert tarmac("storage", "upload", str(tmp_path / "x.iso")).code == 0
    assert not host.of("POST", UPLOADS) and host.of("PATCH", ONE)[0].body == b"456789"


def test_an_upload_that_is_refused(host, tarmac, tmp_path):
    refusal = Reply(status=400, reason="wrong file extension", extra={"errors": {"filename": "wrong"}})
    host.answer("GET", UPLOADS, [])
    host.answer("POST", UPLOADS, refusal)
    (tmp_path / "x.txt").write_text("x")
    assert tarmac("storage", "upload", str(tmp_path / "x.txt")).code == 2
    assert tarmac("storage", "upload", str(tmp_path / "missing")).code == 2


def test_token_add_has_proxmox_fields(host, tarmac):
    reply = {"full-tokenid": "root@pam!ci", "info": {"privsep": 1}, "value": "secret"}
    host.answer("POST", "/access/users/root@pam/token/ci", reply)
    assert tarmac("token", "add", "root@pam", "ci", "--output", "json").json == reply
    assert tarmac("token", "add", "root", "ci").code == 2


def test_passwords_come_from_standard_input(host, tarmac, monkeypatch):
    import io

    host.answer("PUT", "/access/password", None)
    monkeypatch.setattr("sys.stdin", io.StringIO("s3cret\n"))
    assert tarmac("user", "passwd", "anna@pve", "--password-stdin").code == 0
    assert host.of("PUT", "/access/password")[0].params == {"userid": ["anna@pve"], "password": ["s3cret"]}
