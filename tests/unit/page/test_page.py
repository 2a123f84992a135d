"""The page's own unit tests, and what the daemon hands out of it."""

from __future__ import annotations

import gzip
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tarmac.faces.api.pages import Page
from tarmac.model.errors import NotBuilt

ROOT = Path(__file__).resolve().parents[3]


def _build_script():  # type: ignore[no-untyped-def]
    spec = importlib.util.spec_from_file_location("page_build", ROOT / "packaging/page.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_unit_tests_of_the_page() -> None:
    node, _ = _build_script().node()
    done = subprocess.run(
        [node, "node_modules/vitest/vitest.mjs", "run"], cwd=ROOT / "ui", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_built_is_of_these_sources() -> None:
    done = subprocess.run([sys.executable, ROOT / "packaging/page.py", "--check"], check=False)
    assert done.returncode == 0


def _folder(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<p>the page</p>")
    (tmp_path / "index.html.gz").write_bytes(gzip.compress(b"<p>the page</p>"))
    (tmp_path / "assets/index-1.js").write_text("1")
    (tmp_path / "sources.sha256").write_text("0")
    return tmp_path


async def test_files_come_with_their_rules(tmp_path: Path) -> None:
    page = Page(_folder(tmp_path))
    plain = await page.reply("GET", "/", {})
    assert plain.body == b"<p>the page</p>" and plain.headers["Cache-Control"] == "no-cache"  # type: ignore[attr-defined]
    policy = plain.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "script-src" not in policy, "no inline script, no foreign one"
    packed = await page.reply("GET", "/", {"Accept-Encoding": "gzip, br"})
    assert packed.headers["Content-Encoding"] == "gzip"
    lasting = await page.reply("GET", "/assets/index-1.js", {})
    assert "immutable" in lasting.headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/assets/../index.html", "/sources.sha256", "/etc/passwd", "/assets/none.js"])
async def test_nothing_else_is_handed_out(tmp_path: Path, path: str) -> None:
    assert (await Page(_folder(tmp_path)).reply("GET", path, {})).status == 404


async def test_only_reading(tmp_path: Path) -> None:
    with pytest.raises(NotBuilt):
        await Page(_folder(tmp_path)).reply("POST", "/", {})


async def test_without_a_built_page_a_few_words(tmp_path: Path) -> None:
    assert b"/api2/json" in (await Page(tmp_path / "none").reply("GET", "/", {})).body  # type: ignore[attr-defined]
