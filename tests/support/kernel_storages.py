"""The storages that only the guest of `kernel_guest.py` has: what defines each, and how it is seen to be empty."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from support.volume_io import means_below, remove_all
from tarmac.drivers.storage.base import Storage
from tarmac.drivers.storage.build import build_storage
from tarmac.drivers.storage.jail import Jail
from tarmac.model.storage import definition_of

HERE = bool(os.environ.get("TARMAC_KERNEL_GUEST"))
"""Whether this is that guest."""
MOUNT = "/mnt/pve/local"
SERVED = {"nfs": Path("/srv/nfs"), "nfs3": Path("/srv/nfs"), "cifs": Path("/srv/smb")}
_NFS = {"type": "nfs", "server": "127.0.0.1", "export": "/srv/nfs", "path": MOUNT}
_CIFS = {"type": "cifs", "server": "127.0.0.1", "share": "vm", "username": "vm", "path": MOUNT}
DEFINITIONS: Mapping[str, Mapping[str, str]] = {
    "nfs": _NFS,
    "nfs3": {**_NFS, "options": "vers=3"},
    "cifs": _CIFS,
    "lvm": {"type": "lvm", "vgname": "vg", "allow-untested": "1"},
    "lvmthin": {"type": "lvmthin", "vgname": "vg", "thinpool": "data", "allow-untested": "1"},
}
SECRETS: Mapping[str, Mapping[str, str]] = {"cifs": {"password": "secret"}}
FILES = tuple(SERVED) if HERE else ()
KINDS = tuple(DEFINITIONS) if HERE else ()


@asynccontextmanager
async def kernel_storage(kind: str) -> AsyncIterator[Storage]:
    """An empty storage; afterwards nothing may be left of what was on it."""
    base = Path(tempfile.mkdtemp(prefix="tarmac-storage-"))
    base.chmod(0o711)
    texts = {"storage": "local", **DEFINITIONS[kind]}
    made = build_storage(definition_of(texts), SECRETS.get(kind, {}), means=means_below(base, Jail()))
    _empty(kind)
    await made.activate()
    try:
        yield made
    except BaseException:
        _empty(kind)
        raise
    await remove_all(made)
    await made.deactivate()
    if kind in SERVED:
        left = [path for path in SERVED[kind].rglob("*") if path.is_file()]
        shutil.rmtree(SERVED[kind] / "images", ignore_errors=True)
        assert not os.path.ismount(MOUNT)
    else:
        left = [Path(name) for name in _volumes(kind)]
    shutil.rmtree(base)
    assert not left


def _empty(kind: str) -> None:
    """Take away what a test that failed has left."""
    if kind in SERVED:
        if os.path.ismount(MOUNT):
            subprocess.run(["umount", "--lazy", MOUNT], check=True)
        shutil.rmtree(SERVED[kind] / "images", ignore_errors=True)
        return
    for name in _volumes(kind):
        subprocess.run(["lvremove", "-f", f"vg/{name}"], check=True, capture_output=True)


def _volumes(kind: str) -> list[str]:
    chosen = "pool_lv=data" if kind == "lvmthin" else 'pool_lv="" && lv_name!=data'
    words = ["lvs", "--noheadings", "--options", "lv_name", "--select", chosen, "vg"]
    return subprocess.check_output(words, text=True).split()
