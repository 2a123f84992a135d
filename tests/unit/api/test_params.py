"""Parameters: three sources merged, validated by declaration, every problem named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarmac.faces.api.declare import UPID, Allow, Call, Endpoint, get, post
from tarmac.faces.api.endpoints.table import endpoints
from tarmac.faces.api.params import CONFLICT, MASK, NOT_BUILT, decode_body, decode_query, masked, merge, parse
from tarmac.model.errors import InvalidInput, NotBuilt
from tarmac.model.parse import MISSING, UNKNOWN
from tarmac.model.settings import indexed, setting


@dataclass(frozen=True, kw_only=True)
class Config:
    cores: int = setting(1, ge=1, help="c")
    net: Mapping[int, str] = indexed(2, help="n")
    lock: str | None = setting(None, internal=True, help="l")
    args: str | None = setting(None, built=False, help="a")
    cipassword: str | None = setting(None, secret=True, help="p")


@dataclass(frozen=True, kw_only=True)
class Params:
    vmid: int = setting(ge=100, help="v")
    on: bool = setting(False, help="o")
    delete: tuple[str, ...] = setting((), help="d")
    command: tuple[str, ...] = setting((), array=True, help="c")
    later: bool = setting(False, built=False, help="l")
    need: str = setting(help="n")


@post("/x/{vmid}", params=Params, config=Config, allow=Allow.login, returns=UPID, help="Do.")
async def act(call: Call, p: Params) -> None: ...


@get("/x/{vmid}", params=Params, allow=Allow.login, help="See.")
async def see(call: Call, p: Params) -> None: ...


ACT: Endpoint = act.__tarmac_endpoint__  # type: ignore[attr-defined]
SEE: Endpoint = see.__tarmac_endpoint__  # type: ignore[attr-defined]


def run(query: str = "", body: bytes = b"", kind: str = "", endpoint: Endpoint = ACT) -> Any:
    texts = merge({"vmid": "100"}, decode_query(query), decode_body(kind, body), endpoint)
    return parse(endpoint, texts)


def problems(*args: Any, **kwargs: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        run(*args, **kwargs)
    return caught.value.parameters


def test_path_query_and_body_are_one() -> None:
    parsed = run("on=1", b"need=x&_dc=17")
    assert parsed.params == Params(vmid=100, on=True, need="x")


def test_no_content_type_is_a_form() -> None:
    assert run(body=b"need=a+b%26").params.need == "a b&"
    assert run(body=b"need=a+b", kind="application/x-www-form-urlencoded; charset=UTF-8").params.need == "a b"


def test_json_body_with_json_types() -> None:
    body = json.dumps({"need": "x", "on": True, "vmid": 100, "delete": ["a", "b"], "cores": 2, "net0": None}).encode()
    parsed = run(body=body, kind="application/json; charset=utf-8")
    assert parsed.params == Params(vmid=100, on=True, need="x", delete=("a", "b"))
    assert parsed.config == {"cores": "2"}


def test_the_same_name_twice_must_have_the_same_value() -> None:
    assert run("vmid=100", b"need=x&vmid=100").params.vmid == 100
    assert problems("vmid=101&need=x") == {"vmid": CONFLICT}
    assert problems("need=x", b"need=y") == {"need": CONFLICT}


def test_a_repeated_key_is_a_list() -> None:
    assert run("need=x&delete=a&delete=b").params.delete == ("a", "b")
    assert run("need=x&delete=a,b;c d").params.delete == ("a", "b", "c", "d")


def test_an_arrays_items_are_never_split() -> None:
    assert run("need=x&command=sh&command=-c&command=echo a, b; c").params.command == ("sh", "-c", "echo a, b; c")
    body = json.dumps({"need": "x", "command": ["echo", "a, b"]}).encode()
    assert run(body=body, kind="application/json").params.command == ("echo", "a, b")
    assert run("need=x&command=a b").params.command == ("a b",)
    assert "command" in problems("need=x&command=a%00b")


def test_every_problem_is_named_at_once() -> None:
    found = problems("on=True&bogus=1&cores=0&net7=x&lock=backup&args=-x&later=1")
    assert found == {
        "on": "type check ('boolean') failed - got 'True'",
        "bogus": UNKNOWN,
        "cores": "value must have a minimum value of 1",
        "net7": UNKNOWN,
        "lock": UNKNOWN,
        "args": NOT_BUILT,
        "later": NOT_BUILT,
        "need": MISSING,
    }


def test_an_unbuilt_key_may_say_what_its_default_says() -> None:
    assert run("need=x&later=0").params.later is False


def test_wait_and_dryrun_only_where_they_mean_something() -> None:
    parsed = run("need=x&wait=2.5&dryrun=1")
    assert (parsed.wait, parsed.dryrun) == (2.5, True)
    assert problems("need=x&wait=3601") == {"wait": "value must have a maximum value of 3600"}
    assert problems("need=x&wait=1&dryrun=1", endpoint=SEE) == {"wait": UNKNOWN, "dryrun": UNKNOWN}


@pytest.mark.parametrize("body", [b"[1]", b"{", b"null", b'{"a":NaN}', b"\xff", b"[" * 100_000])
def test_bad_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode_body("application/json", body)


def test_an_object_as_a_value_names_its_parameter() -> None:
    assert "need" in problems(body=b'{"need": {"a": 1}}', kind="application/json")
    assert "need" in problems(body=b'{"need": "\\ud800"}', kind="application/json")


def test_other_content_types_are_not_implemented() -> None:
    with pytest.raises(NotBuilt):
        decode_body("text/xml", b"<x/>")
    assert decode_body("text/xml", b"") == {}


def test_too_many_parameters_are_refused() -> None:
    with pytest.raises(InvalidInput):
        decode_query("&".join(f"a{i}=1" for i in range(1001)))
    body = json.dumps({f"a{i}": 1 for i in range(1001)}).encode()
    with pytest.raises(InvalidInput, match="too many"):
        decode_body("application/json", body)


def test_secrets_are_masked_for_the_log() -> None:
    assert masked(ACT, {"cipassword": "hidden", "need": "x" * 300}) == {"cipassword": MASK, "need": "x" * 200}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("info block", "info block"),
        ("system_reset", "system_reset"),
        ("set_password vnc geheim", "set_password **********"),
        (" expire_password  vnc now", "expire_password **********"),
        ("drive_add 0 if=none,file=json:{},password=geheim", "drive_add **********"),
        ("sendkey g", "sendkey **********"),
        ("geheim", "geheim"),
        ("", ""),
    ],
)
def test_a_monitor_command_is_told_without_what_may_be_a_secret(text: str, shown: str) -> None:
    (monitor,) = (e for e in endpoints() if e.path.endswith("/monitor"))
    assert masked(monitor, {"command": text}) == {"command": shown}


@given(st.text(max_size=30), st.binary(max_size=60), st.sampled_from(["", "application/json", "text/plain"]))
def test_any_text_is_parsed_or_refused(query: str, body: bytes, kind: str) -> None:
    try:
        run(query, body, kind)
    except InvalidInput as problem:
        assert all(isinstance(k, str) and isinstance(v, str) for k, v in problem.parameters.items())
        json.dumps(problem.as_record()).encode("utf-8")
    except NotBuilt:
        pass


def test_nobody_waits_a_negative_time_for_guests() -> None:
    declared = {e.path: e for e in endpoints()}
    for verb in ("start", "shutdown"):
        with pytest.raises(InvalidInput) as caught:
            parse(declared[f"/cluster/bulk-action/guest/{verb}"], {"timeout": "-1"})
        assert caught.value.parameters == {"timeout": "value must have a minimum value of 0"}
