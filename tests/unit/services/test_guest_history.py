"""Earlier configurations of a guest: a long history of a guest with many snapshots holds up nobody."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from support.loop import attempts
from tarmac.drivers.store.memory import MemoryStore
from tarmac.model.conf_file import GuestFile, print_conf
from tarmac.services.changes.guest_history import GuestHistory
from tarmac.services.configuration.configs import VmConfigs
from tarmac.services.guests.guests import HISTORY_KEPT, Guests

NETS = {f"net{n}": f"virtio=BC:24:11:00:00:0{n},bridge=vmbr0" for n in range(8)}


async def test_a_long_history_holds_up_nobody(tmp_path: Path) -> None:
    guests = Guests(store=MemoryStore(), node="n1", mirror=tmp_path)
    file = GuestFile(current=NETS, snapshots={f"s{n}": {**NETS, "snaptime": str(n)} for n in range(12)})
    await guests.create(100, print_conf(file), uid=None, user="root@pam")
    guest = guests.get(100)
    for n in range(HISTORY_KEPT):
        await guests.write(
            guest, GuestFile(current={**NETS, "memory": str(100 + n)}, snapshots=file.snapshots), user="a@pve"
        )
    history = GuestHistory(guests=guests, configs=cast(VmConfigs, None))
    for attempt in attempts():
        with attempt:
            rows = await history.versions(100)
            shown = await history.show(100, rows[0]["revision"])
            diff = await history.diff(100, rows[2]["revision"])
    assert len(rows) == HISTORY_KEPT + 1
    assert rows[0]["current"] == 1 and rows[0]["changes"] == [{"key": "memory", "old": "198", "new": "199"}]
    assert shown["config"]["memory"] == "199" and shown["snapshots"][:2] == ["s0", "s1"]
    assert diff == [{"key": "memory", "old": "197", "new": "199"}]


async def test_every_version_names_its_maker(tmp_path: Path) -> None:
    """The first one, too, the present one after a restart, and the oldest one that is left of a long history."""
    store = MemoryStore()
    guests = Guests(store=store, node="n1", mirror=tmp_path)
    await guests.create(100, "name: a\n", uid=None, user="root@pam")
    await guests.write(
        guests.get(100),
        GuestFile(current={"name": "b"}),
        user="ann@pve",
        task="UPID:n1:00000001:00000001:00000001:qmconfig:100:ann@pve:",
    )
    again = Guests(store=store, node="n1", mirror=tmp_path)
    await again.load()
    history = GuestHistory(guests=again, configs=cast(VmConfigs, None))
    second, first = await history.versions(100)
    assert (first["user"], second["user"]) == ("root@pam", "ann@pve") and first["time"] <= second["time"]
    assert "upid" not in first and second["upid"] == "UPID:n1:00000001:00000001:00000001:qmconfig:100:ann@pve:"
    for n in range(HISTORY_KEPT):
        await again.write(again.get(100), GuestFile(current={"name": f"c{n}"}), user="bob@pve")
    assert (await history.versions(100))[-1]["user"] == "ann@pve"
