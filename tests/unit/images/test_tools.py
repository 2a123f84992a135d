"""A tool that is missing or fails is explained."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from tarmac.drivers.images import tools
from tarmac.drivers.images.debian import DebianRecipe
from tarmac.drivers.images.recipes import RECIPES, host_packages
from tarmac.drivers.images.tiny import TinyRecipe
from tarmac.model.errors import HostFailure, NoSpace


def test_a_missing_tool_names_its_package() -> None:
    with pytest.raises(HostFailure) as caught:
        tools.find("mformat", path="/nonexistent")
    error = caught.value
    assert error.error_code == "missing-tool"
    assert "mformat" in error.message
    assert "mtools" in error.cause
    assert "/nonexistent" in error.evidence
    assert error.fixes[0].action.endswith("mtools")


@pytest.mark.parametrize("recipe", [TinyRecipe(), DebianRecipe()])
async def test_a_recipe_without_its_tools_leaves_nothing(
    recipe: TinyRecipe | DebianRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(tools, "_SBIN", "/nonexistent")
    with pytest.raises(HostFailure) as caught:
        await recipe.build(tmp_path / "out/image.qcow2", tmp_path / "work", lambda line, fraction: None)
    assert caught.value.error_code == "missing-tool"
    assert list(tmp_path.iterdir()) == []


def test_every_tool_is_in_a_recipe_s_package_list() -> None:
    assert set(host_packages()) == {name for recipe in RECIPES.values() for name in recipe.debian_packages}
    assert {"mmdebstrap", "mtools", "syslinux", "qemu-utils", "lz4"} <= set(host_packages())


async def test_a_failing_tool_gives_its_own_words() -> None:
    with pytest.raises(HostFailure) as caught:
        await tools.run("qemu-img", "info", "/nonexistent/image")
    assert "Could not open '/nonexistent/image'" in caught.value.cause


async def test_a_full_disk_is_told_apart() -> None:
    with pytest.raises(NoSpace):
        await tools.run("sh", "-c", "echo 'mke2fs: No space left on device' >&2; exit 1")


async def test_lines_come_whole(tmp_path: Path) -> None:
    lines: list[str] = []
    await tools.run("sh", "-c", "printf 'I: one\\nI: t' >&2; sleep 0.05; printf 'wo\\n' >&2", on_line=lines.append)
    assert lines == ["I: one", "I: two"]


@pytest.mark.parametrize(
    ("texts", "lacking"),
    [
        ({}, "subuid and"),
        ({"subuid": "{name}:100000:65536\n", "subgid": "other:100000:65536\n"}, "subgid"),
        ({"subuid": "{name}:100000:65536\n", "subgid": "other:1:1\n{uid}:100000:65536\n"}, ""),
    ],
)
def test_a_user_without_subordinate_ids_is_told_the_one_command(
    tmp_path: Path, texts: dict[str, str], lacking: str
) -> None:
    uid = os.geteuid()
    name = pwd.getpwuid(uid).pw_name
    for file, text in texts.items():
        (tmp_path / file).write_text(text.format(name=name, uid=uid))
    if not lacking:
        tools.need_subordinate_ids(tmp_path)
        return
    with pytest.raises(HostFailure) as caught:
        tools.need_subordinate_ids(tmp_path)
    assert lacking in caught.value.evidence
    assert caught.value.fixes[0].action.endswith(f"--add-subgids 100000-165535 {name}")
