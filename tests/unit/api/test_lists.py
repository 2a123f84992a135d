"""The long lists go out as the service gives them."""

from __future__ import annotations

import json

import pytest

from tarmac.faces.api.declare import Encoded
from tarmac.faces.api.replies import envelope


@pytest.mark.parametrize("extra", [None, {"success": 1}])
def test_encoded_rows_are_the_data(extra: dict[str, int] | None) -> None:
    rows = b'[{"vmid":100,"template":0,"name":"a"}]'
    assert json.loads(envelope(Encoded([rows]), extra)) == {"data": json.loads(rows), **(extra or {})}
