"""What storages must do whose volumes a server offers: against a real NBD server and a real iSCSI target."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.block_servers import MIB, Server, iscsi_target, nbd_server, no_iscsi
from support.volume_io import io, means_below, opened
from tarmac.drivers.storage.base import Storage
from tarmac.drivers.storage.build import build_storage
from tarmac.drivers.storage.directory.storage import DirectoryStorage
from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.storage.values import NewImage, Owner
from tarmac.drivers.storage.volume_names import Content
from tarmac.model.errors import HostFailure, InvalidInput, NotFound
from tarmac.model.ids import VolumeId
from tarmac.model.storage import definition_of


@pytest.fixture(scope="module", params=["nbd", "iscsidirect"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    if request.param == "iscsidirect" and (lacking := no_iscsi()):
        pytest.skip(lacking)
    with nbd_server() if request.param == "nbd" else iscsi_target() as made:
        yield made


def built(texts: dict[str, str]) -> Storage:
    return build_storage(
        definition_of({"storage": "far", **texts}), {}, means=means_below(Path(tempfile.gettempdir()), Jail())
    )


@pytest.fixture
def far(server: Server) -> Storage:
    return built(server.texts)


async def test_volumes_are_what_the_server_offers(far: Storage, server: Server) -> None:
    await far.activate()
    status = await far.status()
    assert (status.total, status.used, status.available) == (0, 0, 0)
    found = {v.volid.name: v for v in await far.list()}
    assert {name: v.size for name, v in found.items()} == dict(zip(server.disks, (32 * MIB, 8 * MIB), strict=True))
    assert {(v.vmid, v.format, v.content) for v in found.values()} == {(None, "raw", "images")}
    assert await far.list(vmid=100) == [] and await far.list(Content.ISO) == []


async def test_bytes_go_in_and_out(far: Storage, server: Server) -> None:
    name, file = next(iter(server.disks.items()))
    volid = VolumeId("far", name)
    assert (await far.info(volid)).size == 32 * MIB
    (layer,) = await far.layers(volid)
    io(layer, "write -P 7 1M 1M", "flush")
    assert file.read_bytes()[MIB : 2 * MIB] == b"\7" * MIB
    assert far.planned(volid) == layer
    assert await far.give(volid, Owner(uid=1, gid=1)) == frozenset()
    assert await far.snapshots(volid) == ()


async def test_a_volume_is_copied_out_of_it(far: Storage, server: Server, tmp_path: Path) -> None:
    name = next(iter(server.disks))
    (layer,) = await far.layers(VolumeId("far", name))
    io(layer, "write -P 9 2M 1M")
    local = DirectoryStorage("local", tmp_path, jail=Jail())
    await local.activate()
    made = await local.copy(layer, NewImage(100, "qcow2"))
    io((await local.layers(made))[0], "read -P 9 2M 1M", read_only=True)
    assert (await local.info(made)).size == 32 * MIB
    assert opened((await local.layers(made))[0])[:2] == ["-f", "qcow2"]


async def test_what_cannot_be_changed_says_so(far: Storage, server: Server) -> None:
    volid = VolumeId("far", next(iter(server.disks)))
    assert far.capabilities.allocates is False
    for call in (
        far.allocate(NewImage(100, "raw"), size=MIB),
        far.free(volid),
        far.resize(volid, 64 * MIB),
        far.make_base(volid),
        far.clone(volid, NewImage(100, "raw")),
        far.snapshot(volid, "a"),
        far.replace(volid, b""),
    ):
        with pytest.raises(InvalidInput, match="can't .* in (nbd|iscsi) storage") as caught:
            await call
        assert caught.value.error_code == "storage-fixed"


async def test_what_is_not_there(far: Storage) -> None:
    name = "lun77" if far.location(next(iter(await far.list())).volid).startswith("iscsi") else "nothing"
    for call in (far.info(VolumeId("far", name)), far.layers(VolumeId("far", name))):
        with pytest.raises(NotFound, match=f"volume 'far:{name}' does not exist"):
            await call
    for text in ("32", "../x", "cloudinit", "vm-100-cloudinit", "odd/name", ""):
        with pytest.raises(InvalidInput, match="unable to parse"):
            far.parse(VolumeId("far", text))


async def test_a_server_that_is_not_there(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    texts = dict(server.texts)
    texts["port" if "port" in texts else "portal"] = str(port) if "port" in texts else f"127.0.0.1:{port}"
    with pytest.raises(HostFailure, match="cannot read storage 'far'") as caught:
        await built(texts).activate()
    assert caught.value.error_code == "storage-missing" and caught.value.evidence
