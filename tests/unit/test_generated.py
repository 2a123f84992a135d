"""Generated files are what the declarations say."""

from __future__ import annotations

import json
import re

import jsonschema
import pytest

from tarmac.faces.api.endpoints.table import endpoints
from tarmac.faces.api.index import complete
from tarmac.faces.generate.files import PACKAGE, ROOT, contents, stale
from tarmac.faces.generate.openapi import openapi


def test_generated_files_are_up_to_date() -> None:
    assert stale() == [], "run `./dev gen`"


def test_a_changed_file_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from tarmac.faces.generate import files

    text = contents()
    monkeypatch.setattr(files, "contents", lambda: {path: t + "x" for path, t in text.items()})
    assert len(files.stale()) == len(text)


def test_the_openapi_document_has_every_endpoint_once() -> None:
    document = json.loads(openapi(complete(endpoints()), "0"))
    assert document["openapi"] == "3.1.0"
    operations = [op for path in document["paths"].values() for op in path.values()]
    ids = [op["operationId"] for op in operations]
    assert len(ids) == len(set(ids)) == len(complete(endpoints()))
    for path, methods in document["paths"].items():
        for operation in methods.values():
            named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert named == set(re.findall(r"{([^}]*)}", path))


def test_the_openapi_schemas_are_json_schemas() -> None:
    document = json.loads(openapi(endpoints(), "0"))
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation["parameters"]:
                jsonschema.Draft202012Validator.check_schema(parameter["schema"])


def test_a_body_is_checked_by_its_schema() -> None:
    document = json.loads(openapi(endpoints(), "0"))
    body = document["paths"]["/nodes/{node}/qemu"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    schema = {**body, "components": document["components"]}
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid({"vmid": 100, "cores": 2, "net0": "virtio,bridge=vmbr0", "dryrun": True})
    assert not validator.is_valid({"vmid": 100, "bogus": 1})
    assert not validator.is_valid({"cores": 0})


def test_the_commands_name_what_exists() -> None:
    table = json.loads((PACKAGE / "faces/cli/commands.json").read_text("utf-8"))
    known = {(e.method, e.schema_path) for e in endpoints()}
    assert table["format"] == 1
    for words, spec in table["commands"].items():
        assert (spec["method"], spec["path"]) in known, words
        positional = [p["name"] for p in spec["parameters"] if p.get("positional")]
        assert [p["name"] for p in spec["parameters"]][: len(positional)] == positional
        assert not {"wait", "dryrun"} & {p["name"] for p in spec["parameters"]}


def test_the_reference_names_every_endpoint() -> None:
    text = (ROOT / "docs/reference/api.md").read_text("utf-8")
    for endpoint in endpoints():
        assert f"## {endpoint.method} {endpoint.schema_path}\n" in text
