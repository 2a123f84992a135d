"""A server where the daemon's would be, and the command line run against it in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.api_server import Daemon, Handler, Server
from support.serving import serving
from tarmac.faces.cli import main as cli


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """The server, running; its data directory is what `TARMAC_DATA_DIR` names."""
    for name in ("TARMAC_URL", "TARMAC_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    data = tmp_path / "data"
    data.mkdir()
    (data / "instance").write_text("default\n")
    (data / "runtime").write_text(f"{tmp_path}\n")
    monkeypatch.setenv("TARMAC_DATA_DIR", str(data))
    told = Daemon(data)
    handler = type("BoundHandler", (Handler,), {"daemon": told})
    with serving(Server(str(tmp_path / "api.sock"), handler)):
        yield told


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def tarmac(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run one command line in this process: `tarmac("vm", "list")`."""

    def run(*words: str) -> Ran:
        capfd.readouterr()
        code = cli.main(words)
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    return run
