"""The set-up's own parts: the package list, the locks, the scripts."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGING = ROOT / "packaging"
EVERYWHERE = {"apt", "dpkg", "tar"}
SCRIPTS = ["run", "test", "dev", ".ci/run", "packaging/python.sh"]


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, PACKAGING / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


prepare = _load("prepare")
LISTED = prepare.sections((PACKAGING / "debian-packages.txt").read_text())


def test_sections_of_the_list():
    assert prepare.sections("# x\n[a]\none # why\ntwo | three\n\n[b]\nfour\n") == {
        "a": ["one", "two | three"],
        "b": ["four"],
    }
    assert list(LISTED) == ["python", "runtime", "image-building", "tests"]


def test_missing_packages_with_alternatives():
    asked = ["dpkg | nothing-of-that-name", "nothing-of-that-name | dpkg", "nothing-of-that-name | nor-that"]
    assert prepare.missing_packages(asked) == ["nothing-of-that-name"]


def test_the_list_has_what_image_recipes_need():
    from tarmac.drivers.images.recipes import host_packages

    listed = {name for lines in LISTED.values() for name in lines}
    assert set(host_packages()) - EVERYWHERE <= listed


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_locked_package_has_hashes_and_the_lock_tells_no_host(lock):
    text = (PACKAGING / lock).read_text()
    assert "://" not in text and "--index" not in text and "--find-links" not in text
    for block in re.split(r"\n(?=[a-z0-9])", text.strip()):
        assert re.match(r"[a-z0-9][a-z0-9._-]*==\S+", block), block[:80]
        assert "--hash=sha256:" in block, block[:80]


def test_the_locks_hold_what_pyproject_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[<>=!~ \[;]", one)[0].lower().replace("_", "-").replace(".", "-") for one in requirements}

    def locked(lock: str) -> set[str]:
        return set(re.findall(r"^([a-z0-9._-]+)==", (PACKAGING / lock).read_text(), re.MULTILINE))

    assert names(project["dependencies"] + extras["build"]) <= locked("requirements.lock")
    assert names(project["dependencies"] + extras["build"] + extras["dev"]) <= locked("requirements-dev.lock")


def test_both_locks_agree():
    def versions(lock: str) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", (PACKAGING / lock).read_text(), re.MULTILINE))

    small, large = versions("requirements.lock"), versions("requirements-dev.lock")
    assert small == {name: large[name] for name in small}


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_has_no_complaint():
    done = subprocess.run(["shellcheck", "-x", *SCRIPTS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_scripts_can_be_run():
    assert all((ROOT / name).stat().st_mode & 0o111 for name in SCRIPTS if not name.endswith(".sh"))


def test_a_failing_step_shows_the_end_of_its_log(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, "LOG", tmp_path / "log")
    with pytest.raises(prepare.Stop, match="no such mirror"):
        prepare.run("installing", ["sh", "-c", "echo no such mirror; exit 3"])


def test_without_root_the_command_to_type_is_named(monkeypatch):
    monkeypatch.setattr(prepare.os, "geteuid", lambda: 1000)
    with pytest.raises(prepare.Stop, match="sudo apt-get install -y --no-install-recommends nothing-of-that-name"):
        prepare.ensure_packages(["dpkg", "nothing-of-that-name"])


def test_the_stamp_changes_with_what_it_depends_on(tmp_path, monkeypatch):
    lock = tmp_path / "lock"
    lock.write_text("a==1")
    first = prepare.stamp_of(lock)
    assert prepare.stamp_of(lock) == first
    lock.write_text("a==2")
    assert prepare.stamp_of(lock) != first
    second = prepare.stamp_of(lock)
    monkeypatch.setattr(prepare.sys, "version", "3.99")
    assert prepare.stamp_of(lock) != second


@pytest.mark.parametrize("words", [["nonsense"], ["lint-all"]])
def test_unknown_words_are_refused(words, capsys):
    check = _load("check")
    assert check.main(words) == 2
    assert "usage" in capsys.readouterr().err


def test_a_ring_without_tests_is_no_success(monkeypatch, tmp_path):
    check = _load("check")
    monkeypatch.setattr(check, "ROOT", tmp_path)
    assert check.tests(["unit"], []) != 0
