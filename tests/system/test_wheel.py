"""The wheel: built, installed into a fresh environment beside the locked dependencies, and run from there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _run(*words: str | Path, **told: object) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, **told)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", target, ROOT)
    (made,) = target.glob("*.whl")
    return made


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_its_data(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    source = ROOT / "src"
    ours = {str(path.relative_to(source)) for path in (source / "tarmac").rglob("*") if path.is_file()}
    ours = {name for name in ours if "__pycache__" not in name}
    tracked = set(_run("git", "-C", ROOT, "ls-files", "src/tarmac").split())
    assert {name for name in ours if f"src/{name}" in tracked} <= names
    assert not [name for name in names if name.startswith(("tests/", "packaging/"))]


@pytest.mark.slow
def test_the_console_script_runs_from_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    """The dependencies are those of the test's own environment (a .pth file), so that no index is asked."""
    fresh = tmp_path / "venv"
    _run(sys.executable, "-m", "venv", fresh)
    _run(fresh / "bin/pip", "install", "--quiet", "--no-deps", "--no-index", wheel)
    (site,) = fresh.glob("lib/python3*/site-packages")
    theirs = next(path for path in sys.path if path.endswith("site-packages"))
    # Not as .pth: the editable checkout would come along with it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    told = json.loads(_run(fresh / "bin/tarmac", "version", "--data-dir", tmp_path, "-o", "json", env=environment))
    assert told["tarmac"]
    assert "completion" in _run(fresh / "bin/tarmac", "help", env=environment)
    code = "import tarmac.daemon, tarmac; print(tarmac.__file__)"
    environment["PYTHONPATH"] = theirs
    assert str(site) in _run(fresh / "bin/python", "-c", code, env=environment)
