"""What is on a storage: list, allocate, remove, upload, download."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, OBJECT, TEXT, UPID, Allow, Call, delete, get, post
from tarmac.faces.api.endpoints.common import Node
from tarmac.faces.api.endpoints.storage.storage import SEE, OnNode
from tarmac.faces.api.multipart import read_upload
from tarmac.faces.api.shapes import storage as shapes
from tarmac.model.errors import Denied
from tarmac.model.job import Plan, Started
from tarmac.model.settings import setting
from tarmac.services.snapshots.lost_points import point_of
from tarmac.services.transfers.uploads import UploadFields

BASE = "/nodes/{node}/storage/{storage}"
UPLOADABLE = ("iso", "vztmpl", "import")
ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
SEERS = Allow("/storage/{storage}", *SEE, any=True)


@dataclass(frozen=True, kw_only=True)
class Listing(OnNode):
    content: str | None = setting(None, max_length=32, help="Only volumes of this content type.")
    vmid: int | None = setting(None, ge=100, le=999_999_999, help="Only volumes of this guest.")


@dataclass(frozen=True, kw_only=True)
class Create(OnNode):
    vmid: int = setting(ge=100, le=999_999_999, help="Whose volume it is.")
    filename: str = setting(max_length=255, help="Its name, such as `vm-100-disk-1.qcow2`.")
    size: str = setting(pattern=r"\d+[MG]?", unit="KiB", help="Its size; `M` and `G` for MiB and GiB.")
    format: str | None = setting(None, choices=("raw", "qcow2", "subvol", "vmdk"), help="The image's format.")


@dataclass(frozen=True, kw_only=True)
class Volume(OnNode):
    volume: str = setting(max_length=512, help="The volume, with or without its storage.")


@dataclass(frozen=True, kw_only=True)
class Remove(Volume):
    delay: int | None = setting(None, ge=1, le=30, unit="s", help="Wait this long; if done by then, the reply is null.")


@dataclass(frozen=True, kw_only=True)
class Upload(OnNode):
    content: str | None = setting(
        None, choices=(*UPLOADABLE, "snippets"), help="What it is (a field of the form); snippets are Tarmac's own."
    )
    filename: str | None = setting(None, max_length=255, help="Its name (that of the form's file, as a rule).")
    checksum: str | None = setting(None, max_length=256, help="The checksum to compare with (a field of the form).")
    checksum_algorithm: str | None = setting(
        None, name="checksum-algorithm", choices=ALGORITHMS, help="The checksum's kind (a field of the form)."
    )
    tmpfilename: str | None = setting(None, built=False, help="For Proxmox's own web server.")


@dataclass(frozen=True, kw_only=True)
class Download(OnNode):
    url: str = setting(max_length=4096, pattern=r"https?://.*", help="Where it is.")
    content: str = setting(choices=UPLOADABLE, help="What it is.")
    filename: str = setting(max_length=255, help="Its name on the storage.")
    checksum: str | None = setting(None, max_length=256, help="The checksum to compare with.")
    checksum_algorithm: str | None = setting(
        None, name="checksum-algorithm", choices=ALGORITHMS, help="The checksum's kind."
    )
    compression: str | None = setting(None, max_length=16, help="Unpack it: gz, zst, ...")
    verify_certificates: bool = setting(True, name="verify-certificates", help="Insist on a good certificate.")


@dataclass(frozen=True, kw_only=True)
class Url(Node):
    url: str = setting(max_length=4096, pattern=r"https?://.*", help="What is asked about.")
    verify_certificates: bool = setting(True, name="verify-certificates", help="Insist on a good certificate.")


async def _may_reach_out(call: Call, p: Any) -> None:
    """`Sys.Audit` and `Sys.Modify` on `/`, or `Sys.AccessNetwork` on the node."""
    access = call.services.access
    try:
        access.check(call.identity, f"/nodes/{call.services.node}", ["Sys.AccessNetwork"])
    except Denied:
        access.check(call.identity, "/", ["Sys.Audit", "Sys.Modify"])


async def _may_download(call: Call, p: Any) -> None:
    call.services.access.check(call.identity, f"/storage/{p.storage}", ["Datastore.AllocateTemplate"])
    await _may_reach_out(call, p)


NETWORK = "Sys.AccessNetwork on /nodes/{node}, or Sys.Audit and Sys.Modify on /"


@get(
    f"{BASE}/content",
    reply=list[shapes.Volume],
    params=Listing,
    allow=SEERS,
    returns=LIST,
    cli="storage content {storage}",
    help="The volumes of a storage.",
)
async def content(call: Call, p: Listing) -> Any:
    return await call.services.storage_views.content(p.storage, content=p.content, vmid=p.vmid)


@get(
    f"{BASE}/orphans",
    reply=list[shapes.Orphan],
    params=OnNode,
    allow=Allow("/storage/{storage}", "Datastore.Allocate"),
    returns=LIST,
    cli="storage orphans {storage}",
    help="Disk images, saved memories and points in time that no guest, snapshot or clone refers to, and why. They "
    "stay until somebody removes them.",
)
async def orphans(call: Call, p: OnNode) -> Any:
    return await call.services.orphans.listing(p.storage)


@post(
    f"{BASE}/content",
    params=Create,
    allow=Allow("/storage/{storage}", "Datastore.AllocateSpace"),
    returns=TEXT,
    cli="storage allocate {storage} {vmid} {filename} {size}",
    help="Allocate a disk image.",
)
async def allocate(call: Call, p: Create) -> Any:
    return await call.services.volumes.create(p.storage, p.vmid, p.filename, p.size, p.format)


@get(
    f"{BASE}/content/{{volume...}}",
    params=Volume,
    allow=SEERS,
    returns=OBJECT,
    cli="storage volume {storage} {volume}",
    help="A volume's size, format and path.",
)
async def volume(call: Call, p: Volume) -> Any:
    views = call.services.storage_views
    return await views.volume(views.full_volid(p.storage, p.volume))


@delete(
    f"{BASE}/content/{{volume...}}",
    params=Remove,
    allow=Allow("/storage/{storage}", "Datastore.Allocate"),
    returns=UPID,
    cli="storage delete {storage} {volume}",
    help="Remove a volume, or a point in time of one (`VOLUME@SNAPSHOT`), that no guest refers to.",
)
async def remove(call: Call, p: Remove) -> Started | None:
    volid = call.services.storage_views.full_volid(p.storage, p.volume)
    remover = call.services.volumes if point_of(volid) is None else call.services.lost_points
    started: Started = await remover.delete(call.identity.name, volid, dryrun=call.dryrun)
    if p.delay is None or isinstance(started, Plan):
        return started
    record = await call.services.jobs.wait(started, p.delay)
    return None if record.state.ended and record.error is None else started


@post(
    f"{BASE}/upload",
    params=Upload,
    allow=Allow("/storage/{storage}", "Datastore.AllocateTemplate"),
    returns=UPID,
    csrf=False,
    stream=True,
    help="Upload a file: `multipart/form-data`, the fields first, the file last as `filename`.",
)
async def upload(call: Call, p: Upload) -> str:
    given = {
        "content": p.content,
        "filename": p.filename,
        "checksum": p.checksum,
        "checksum-algorithm": p.checksum_algorithm,
    }
    form = await read_upload(call.http, {name: text for name, text in given.items() if text is not None})
    fields = UploadFields.of(form.fields, form.filename)
    received = await call.services.uploads.receive(
        p.storage, fields, form.chunks(), size=call.http.content_length, user=call.user
    )
    try:
        replaceable_by(call)(f"{p.storage}:{received.name}")
    except Denied:
        await call.services.uploads.drop(received)
        raise
    upid: str = await call.services.uploads.finish(call.identity.name, received)
    return upid


def replaceable_by(call: Call) -> Callable[[str], None]:
    """Whether the caller may put a file in the place of this volume: a snippet is what guests are told at their next
    start, so whoever writes over one that guests have must be allowed to tell them. Raises Denied."""

    def check(volid: str) -> None:
        if volid.partition(":")[2].startswith("snippets/"):
            for vmid in call.services.guests.references(volid):
                call.services.access.check(call.identity, f"/vms/{vmid}", ["VM.Config.Cloudinit"])

    return check


@post(
    f"{BASE}/download-url",
    params=Download,
    allow=Allow.by(_may_download, f"Datastore.AllocateTemplate on /storage/{{storage}}, and {NETWORK}"),
    returns=UPID,
    cli="storage download {storage} {url}",
    help="Have the node download a file.",
)
async def download(call: Call, p: Download) -> Started:
    return await call.services.downloads.download(
        call.identity.name,
        p.storage,
        p.content,
        p.filename,
        p.url,
        checksum=p.checksum,
        algorithm=p.checksum_algorithm,
        compression=p.compression,
        verify=p.verify_certificates,
        dryrun=call.dryrun,
    )


@get(
    "/nodes/{node}/query-url-metadata",
    params=Url,
    allow=Allow.by(_may_reach_out, NETWORK),
    returns=OBJECT,
    help="Name, size and type of what is at a URL.",
)
async def metadata(call: Call, p: Url) -> Any:
    return await call.services.downloads.metadata(p.url, verify=p.verify_certificates)
