"""What an LDAP realm names on the host, and how much a server says, costs the daemon bounded time and memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from support.loop import attempts
from tarmac.drivers.auth import ldap
from tarmac.drivers.auth.ldap import MOST_AUTHORITIES, Directory
from tarmac.lib.process import Finished
from tarmac.model.errors import HostFailure
from tarmac.model.realms import RealmOptions


def realm(**more: Any) -> Directory:
    return Directory("ldap", RealmOptions(server1="127.0.0.1", port=1, base_dn="dc=x", user_attr="uid", **more))


async def test_authorities_are_a_file_of_bounded_size(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pem")
    (tmp_path / "long.pem").write_bytes(b"x" * (MOST_AUTHORITIES + 1))
    for capath in ("/dev/zero", str(tmp_path / "pipe.pem"), str(tmp_path / "long.pem"), str(tmp_path)):
        with pytest.raises(HostFailure) as refused:
            await realm(mode="ldaps", verify=True, capath=capath).check()
        assert refused.value.error_code == "ldap-capath", capath


async def test_a_large_answer_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f"dn: uid=u{n},dc=x\nuid: u{n}\nmail: u{n}@example.org\n\n" for n in range(30_000)).encode()

    async def run(*words: Any, **more: Any) -> Finished:
        return Finished(argv=(), code=0, stdout=text, stderr=b"", truncated=False)

    monkeypatch.setattr(ldap, "run", run)
    for attempt in attempts():
        with attempt:
            found = await realm().search("dc=x", "(uid=*)", ["uid", "mail"])
    assert len(found) == 30_000 and found[-1].first("mail") == "u29999@example.org"
