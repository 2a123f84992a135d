"""What asks the host about a user's password."""

from __future__ import annotations

from typing import Protocol


class HostUsers(Protocol):
    """The users of this machine."""

    async def fits(self, name: str, password: str, *, source: str) -> bool:
        """Whether the password is that of the host's user and the account may log in now.

        False also for an unknown user. `source` is the caller's address, for the host's own log. May take seconds
        (modules delay failures). Raises HostFailure when the host cannot decide, for instance without PAM."""
        ...
