"""`tarmac image build|pull|list`: images that guests are made from, in the `import` content of a storage."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from tarmac.faces.cli.commands import show_outcome
from tarmac.faces.cli.errors import CliError, usage
from tarmac.faces.cli.session import Session

_IMAGES = (".qcow2", ".raw", ".img", ".vmdk")


def _place_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--node", help="the node (default: the one that answers)")
    parser.add_argument("--storage", default="local", help="the storage (default: local)")


def build_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("name", metavar="NAME", help="the recipe: tiny, debian-12")
    parser.add_argument("--force", action="store_true", help="build it anew if it is there already")
    _place_options(parser)


def build(session: Session) -> int:
    """Build an image; done at once when it is there already."""
    o = session.options
    if not o.force and (there := find(session, o.name, o.storage)) is not None:
        session.say(f"image {o.name} is there: {there['volid']} (--force builds it anew)")
        if session.output != "table":
            session.show({"volid": there["volid"]})
        return 0
    show_outcome(session, start_build(session, o.name, o.storage), f"image {o.name}")
    return 0


def start_build(session: Session, name: str, storage: str) -> dict[str, Any]:
    """Have the daemon build an image, and wait unless `--no-wait`. Returns the task's status."""
    params = {"name": name} | ({} if storage == "local" else {"storage": storage})
    return session.task("POST", f"/nodes/{session.node()}/image-build", params, f"building image {name}")


def pull_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("source", metavar="URL", help="where it is: https://...")
    parser.add_argument("--filename", help="its name here (default: the last part of the address)")
    parser.add_argument("--content", choices=("import", "iso"), help="what it is (default: by its name's ending)")
    parser.add_argument("--checksum", help="the checksum to compare with")
    parser.add_argument("--checksum-algorithm", choices=("sha256", "sha512", "sha384", "sha224", "sha1", "md5"))
    _place_options(parser)


def pull(session: Session) -> int:
    """Have the daemon download an image."""
    o = session.options
    if urlsplit(o.source).scheme not in ("http", "https"):
        raise usage(f"not an address: {o.source}", "images of our own are built: tarmac image build debian-12")
    filename = o.filename or unquote(urlsplit(o.source).path.rpartition("/")[2])
    if not filename:
        raise usage("the address has no file name at its end", "name it: --filename NAME.qcow2")
    content = o.content or ("iso" if filename.endswith(".iso") else "import")
    if content == "import" and filename.endswith(".img"):
        stem = filename.removesuffix(".img")
        raise usage(f"{filename} does not say its format", f"--filename {stem}.qcow2", f"--filename {stem}.raw")
    algorithm = o.checksum_algorithm or (_algorithm(o.checksum) if o.checksum else None)
    params = {"url": o.source, "filename": filename, "content": content, "checksum": o.checksum}
    params["checksum-algorithm"] = algorithm
    path = f"/nodes/{session.node()}/storage/{quote(o.storage, safe='')}/download-url"
    show_outcome(
        session, session.task("POST", path, params, f"downloading {filename}"), f"{o.storage}:{content}/{filename}"
    )
    return 0


def _algorithm(checksum: str) -> str:
    by_length = {32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}
    if (found := by_length.get(len(checksum))) is None:
        raise usage(f"a checksum of {len(checksum)} characters is of no known kind", "name it: --checksum-algorithm")
    return found


def list_images_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    _place_options(parser)


def list_images(session: Session) -> int:
    """The images of a storage."""
    session.show(contents(session, session.options.storage), "image list")
    return 0


def contents(session: Session, storage: str) -> list[dict[str, Any]]:
    """The images (content `import`) of a storage. Raises CliError."""
    path = f"/nodes/{session.node()}/storage/{quote(storage, safe='')}/content"
    return list(session.client.get(path, {"content": "import"}) or [])


def find(session: Session, name: str, storage: str) -> dict[str, Any] | None:
    """The image called `name` (with or without its ending, or a whole volume id), or None."""
    wanted = {name, *(name + ending for ending in _IMAGES)}
    for row in contents(session, storage):
        volid = str(row.get("volid", ""))
        if volid == name or volid.rpartition("/")[2] in wanted:
            return row
    return None


def needed(session: Session, name: str, storage: str) -> str:
    """The volume id of an image. Raises CliError naming how to get it."""
    if ":" in name:
        return name
    if (row := find(session, name, storage)) is not None:
        return str(row["volid"])
    raise CliError(
        "not-found",
        f"there is no image {name} in storage {storage}",
        fixes=[f"tarmac image build {name}", "tarmac image pull URL", "see what there is: tarmac image list"],
    )
