"""Passwords that cost next to nothing to check, where what they cost is not what is tested."""

from __future__ import annotations

import dataclasses

import pytest

from tarmac.lib import passwords


@pytest.fixture
def real_hashes() -> None:
    """Asked for by a test that is about what a hash takes."""


@pytest.fixture(autouse=True)
def cheap_hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "real_hashes" not in request.fixturenames:
        monkeypatch.setattr(passwords, "_N", 2)
        monkeypatch.setattr(passwords, "_NOBODY", dataclasses.replace(passwords._NOBODY, n=2))
