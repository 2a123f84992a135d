"""Parameters of all definitions of networks, which wait to be applied and can be locked meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

from tarmac.model.settings import setting


@dataclass(frozen=True, kw_only=True)
class Locked:
    lock_token: str | None = setting(
        None, name="lock-token", max_length=100, help="The lock's token, where somebody locked the definitions."
    )


@dataclass(frozen=True, kw_only=True)
class Staged:
    pending: bool = setting(False, help="With changes that are not applied.")
    running: bool = setting(False, help="What is applied.")
