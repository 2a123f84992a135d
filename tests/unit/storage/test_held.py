"""Layers of snapshots that get a second name: refused where a file does not tell that it has two."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tarmac.drivers.storage.directory import held
from tarmac.model.errors import HostFailure


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    (tmp_path / "900").mkdir()
    layer = tmp_path / "100" / "snap-before-vm-100-disk-0.qcow2"
    layer.parent.mkdir()
    layer.write_bytes(b"kept")
    return layer


def test_a_layer_gets_a_second_name_once(layer: Path, tmp_path: Path) -> None:
    for _ in range(2):
        held.hold([layer], tmp_path / "900")
    assert (tmp_path / "900" / layer.name).samefile(layer)


def test_where_names_are_not_counted_none_is_left(layer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on CIFS, where both names are there and each says that it is the only one."""
    monkeypatch.setattr(os, "link", lambda old, new, **_: shutil.copy(old, new))
    with pytest.raises(HostFailure) as caught:
        held.hold([layer], tmp_path / "900")
    assert caught.value.error_code == "names-not-counted"
    assert caught.value.fixes
    assert list((tmp_path / "900").iterdir()) == []
    assert layer.read_bytes() == b"kept"
