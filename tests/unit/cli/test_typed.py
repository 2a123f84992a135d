"""Commands in messages can be typed as they stand: for the daemon that was talked to."""

from __future__ import annotations

from argparse import Namespace

import pytest

from tarmac.faces.cli.typed import typed

HERE = Namespace(data_dir="/srv/my data", url="")
THERE = Namespace(data_dir=None, url="https://n1:8006")


@pytest.mark.parametrize(
    ("text", "options", "want"),
    [
        ("start it: tarmac vm start 100", None, "start it: tarmac vm start 100"),
        ("start it: tarmac vm start 100", Namespace(data_dir=None, url=""), "start it: tarmac vm start 100"),
        ("start it: tarmac vm start 100", HERE, "start it: tarmac --data-dir '/srv/my data' vm start 100"),
        ("memory  [tarmac vm set 1 --memory 9]", THERE, "memory  [tarmac --url https://n1:8006 vm set 1 --memory 9]"),
        ("start one: tarmac up --data-dir /x", HERE, "start one: tarmac up --data-dir /x"),
        ("on that machine: tarmac token list USER", THERE, "on that machine: tarmac token list USER"),
        ("a mistake in tarmac itself", HERE, "a mistake in tarmac itself"),
        ("log /var/lib/tarmac vm", HERE, "log /var/lib/tarmac vm"),
    ],
)
def test_a_command_names_its_daemon(text, options, want):
    assert typed(text, options) == want


def test_errors_as_yaml(tarmac):
    import yaml

    ran = tarmac("vm", "showcmd", "-o", "yaml")
    assert yaml.safe_load(ran.err)["error"]["kind"] == "invalid-input" and ran.code == 2
