"""Shapes of what somebody should look at."""

from __future__ import annotations

from typing import Literal, NotRequired

from tarmac.faces.api.shapes.common import ErrorParts


class Finding(ErrorParts):
    """The five parts, of which object (an id of `/cluster/resources`), and since when."""

    id: str
    severity: Literal["error", "warning", "info"]
    object: str
    since: NotRequired[int]
