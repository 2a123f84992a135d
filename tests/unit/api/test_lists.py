"""The long lists go out as the service gives them, so no truth value may be in them."""

from __future__ import annotations

import json
from typing import Any

from tarmac.faces.api.replies import encoded, envelope


def test_encoded_rows_are_the_data() -> None:
    rows: list[dict[str, Any]] = [{"vmid": 100, "template": 0, "name": "a"}]
    assert json.loads(envelope(encoded(rows))) == {"data": rows}
