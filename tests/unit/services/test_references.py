"""Which guests name a volume: disks, and the snippets that they are told by."""

from __future__ import annotations

from pathlib import Path

import pytest

from tarmac.drivers.store.memory import MemoryStore
from tarmac.model.conf_file import GuestFile, print_conf
from tarmac.services.guests.guests import Guests

OWN = {
    "cicustom": "vendor=local:snippets/v.yaml,user=local:snippets/u.yaml",
    "scsi0": "file=local:100/vm-100-disk-0.raw",
}


@pytest.mark.parametrize(
    ("volid", "named"),
    [
        ("local:snippets/v.yaml", True),
        ("local:snippets/u.yaml", True),
        ("local:snippets/u", False),
        ("local:100/vm-100-disk-0.raw", True),
        ("local:snippets/old.yaml", True),
        ("local:snippets/none.yaml", False),
    ],
)
async def test_references(tmp_path: Path, volid: str, named: bool) -> None:
    guests = Guests(store=MemoryStore(), node="n1", mirror=tmp_path)
    file = GuestFile(current=OWN, snapshots={"first": {"cicustom": "meta=local:snippets/old.yaml"}})
    await guests.create(100, print_conf(file), uid=None, user="root@pam")
    assert guests.references(volid) == ([100] if named else [])
