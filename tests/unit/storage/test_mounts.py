"""Network file systems: the commands by table, the kernel's table read, a storage that mounts and unmounts itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.storage_site import Site, site, temporary_root
from tarmac.drivers.storage.directory.mounted import MountedStorage
from tarmac.drivers.storage.directory.mounts import Mount, is_mounted, mount_of, sources_at
from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.storage.values import NewImage
from tarmac.model.errors import HostFailure, InvalidInput
from tarmac.model.storage import definition_of
from tarmac.services.storage.storages import SECRETS

PLAIN = "nosuid,nodev"


@pytest.mark.parametrize(
    ("texts", "argv"),
    [
        (
            {"type": "nfs", "server": "files.example.org", "export": "/srv/vm"},
            ["mount", "-t", "nfs", "-o", PLAIN, "--", "files.example.org:/srv/vm", "/mnt/pve/store"],
        ),
        (
            {"type": "nfs", "server": "fd00::1", "export": "/srv/vm", "options": "vers=4.2,soft", "path": "/mnt/x"},
            ["mount", "-t", "nfs", "-o", f"{PLAIN},vers=4.2,soft", "--", "[fd00::1]:/srv/vm", "/mnt/x"],
        ),
        (
            {"type": "cifs", "server": "192.0.2.7", "share": "vm"},
            ["mount", "-t", "cifs", "-o", f"{PLAIN},guest,username=guest,soft,nobrl", "--", "//192.0.2.7/vm",
             "/mnt/pve/store"],
        ),
        (
            {"type": "cifs", "server": "nas", "share": "vm", "subdir": "/a/b", "username": "u", "domain": "D",
             "password": "pa,ss", "smbversion": "3.0", "options": "noserverino"},
            ["mount", "-t", "cifs", "-o", f"{PLAIN},username=u,domain=D,soft,nobrl,vers=3.0,noserverino", "--",
             "//nas/vm/a/b", "/mnt/pve/store"],
        ),
    ],
)  # fmt: skip
def test_what_a_definition_mounts(texts: dict[str, str], argv: list[str]) -> None:
    mount = mount_of(definition_of({"storage": "store", **texts}), texts.get("password"))
    assert mount is not None
    assert mount.argv() == argv
    assert "pa,ss" not in repr(mount)


def test_what_has_no_owners_belongs_to_a_group_and_a_password_comes_by_a_descriptor() -> None:
    texts = {"storage": "store", "type": "cifs", "server": "nas", "share": "vm", "username": "u", "options": "gid=7"}
    mount = mount_of(definition_of(texts), "secret", 61400)
    assert mount is not None
    (options,) = (words for words in mount.argv(9) if words.startswith("nosuid"))
    wanted = "username=u,soft,nobrl,gid=61400,file_mode=0660,dir_mode=0770,gid=7,credentials=/proc/self/fd/9"
    assert options == f"{PLAIN},{wanted}"


def test_directories_mount_nothing() -> None:
    assert mount_of(definition_of({"storage": "store", "type": "dir", "path": "/srv"})) is None


def test_the_kernels_table() -> None:
    text = (
        "36 35 98:0 / /mnt/pve/a\\040b rw,noatime shared:1 master:2 - nfs4 server:/srv\\040x rw,vers=4\n"
        "37 35 98:0 / /mnt/pve/a\\040b rw - tmpfs tmpfs rw\n"
        "38 35 98:0 / /mnt/other rw - ext4 /dev/sda1 rw\n"
    )
    assert sources_at(text, Path("/mnt/pve/a b")) == ["server:/srv x", "tmpfs"]
    assert sources_at(text, Path("/mnt/pve")) == []


@pytest.fixture
async def local() -> AsyncIterator[Site]:
    async with site() as made:
        yield made


async def test_a_share_that_cannot_be_mounted_is_not_stored(local: Site) -> None:
    texts = {"storage": "nas", "type": "nfs", "server": "127.0.0.1", "export": "/x", "path": str(local.root / "nas")}
    with pytest.raises(HostFailure, match="cannot mount 127.0.0.1:/x at") as caught:
        await local.storages.create(texts)
    problem = caught.value
    assert problem.error_code == "storage-mount" and problem.cause and problem.evidence and problem.fixes
    assert [d["storage"] for d in local.storages.definitions()] == ["local"]


async def test_a_password_is_kept_apart_and_never_shown(local: Site) -> None:
    texts = {"storage": "nas", "type": "cifs", "server": "127.0.0.1", "share": "vm", "username": "u", "disable": "1",
             "path": str(local.root / "nas"), "nodes": "elsewhere"}  # fmt: skip
    await local.storages.create(texts | {"password": "geheim"})
    shown = local.storages.definition("nas")
    assert "password" not in shown and shown["username"] == "u"
    assert shown == next(d for d in local.storages.definitions() if d["storage"] == "nas")
    assert b"geheim" not in b"".join(e.value for e in await local.store.range("storages/"))
    assert b"geheim" in (await local.store.range(SECRETS + "nas"))[0].value
    await local.storages.update("nas", {"options": "noserverino"})
    assert (await local.store.range(SECRETS))[0].value.count(b"geheim") == 1
    with pytest.raises(InvalidInput) as caught:
        await local.storages.update("nas", {"server": "127.0.0.2"})
    assert caught.value.parameters == {"server": "can't change value of fixed parameter 'server'"}
    await local.storages.update("nas", {}, delete=["password"])
    assert await local.store.range(SECRETS) == []
    await local.storages.delete("nas")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
async def test_a_storage_mounts_and_unmounts_itself() -> None:
    """The same driver with a bind mount, since a kernel may have neither NFS nor CIFS."""
    root = temporary_root()
    (root / "server").mkdir()
    target = root / "here"
    mount = Mount(type="bind", source=str(root / "server"), target=target)
    storage = MountedStorage("nas", mount, jail=Jail(), shared=True)
    try:
        with pytest.raises(HostFailure, match="storage 'nas' is not mounted"):
            await storage.status()
        await storage.activate()
        await storage.activate()
        assert is_mounted(mount) and storage.capabilities.shared
        made = await storage.allocate(NewImage(100, "qcow2"), size=1 << 20)
        assert (root / "server/images/100/vm-100-disk-0.qcow2").exists()
        await storage.deactivate()
        await storage.deactivate()
        assert not is_mounted(mount)
        with pytest.raises(HostFailure, match="is not mounted"):
            await storage.allocate(NewImage(100, "qcow2"), size=1 << 20)
        assert list(target.iterdir()) == [], "nothing is written below the mount point"
        await storage.activate()
        assert (await storage.info(made)).size == 1 << 20
    finally:
        if is_mounted(mount):
            subprocess.run(["umount", target], check=True)
        subprocess.run(["rm", "-rf", root], check=True)
