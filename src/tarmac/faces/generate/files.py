"""Which files are generated, and where they stand in the source tree."""

from __future__ import annotations

from pathlib import Path

from tarmac.faces.api.endpoints.table import endpoints
from tarmac.faces.api.index import complete
from tarmac.faces.generate import built
from tarmac.faces.generate.commands import commands
from tarmac.faces.generate.openapi import openapi
from tarmac.faces.generate.page_options import page_options
from tarmac.faces.generate.page_sentences import page_sentences
from tarmac.faces.generate.page_types import page_types
from tarmac.faces.generate.reference import reference
from tarmac.version import VERSION

PACKAGE = Path(__file__).resolve().parents[2]
ROOT = PACKAGE.parents[1]


def contents() -> dict[Path, str]:
    """Path -> text of every generated file."""
    table = endpoints()
    whole = complete(table)
    return {
        PACKAGE / "faces/cli/commands.json": commands(table),
        ROOT / "docs/reference/built.md": built.page(whole),
        ROOT / "docs/reference/api.md": reference(table),
        ROOT / "docs/reference/openapi.json": openapi(whole, VERSION),
        ROOT / "ui/src/api/types.ts": page_types(table),
        ROOT / "ui/src/features/guests/config/options.ts": page_options(),
        ROOT / "ui/src/i18n/sentences.json": page_sentences(),
    }


def stale() -> list[Path]:
    """The files that are not what the declarations say."""
    return [path for path, text in contents().items() if not path.is_file() or path.read_text("utf-8") != text]


def write() -> list[Path]:
    """Write those that changed; returns them."""
    changed = []
    for path, text in contents().items():
        if not path.is_file() or path.read_text("utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            changed.append(path)
    return changed
