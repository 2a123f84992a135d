"""The LDAP driver against a real slapd, and what a server may do to it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from support.ldap_server import BASE, MANAGER, SECRET, LdapServer, group, ldap_server, person
from tarmac.drivers.auth import ldap
from tarmac.drivers.auth.ldap import Directory, Entry, escape, parse_ldif
from tarmac.model.errors import HostFailure, InvalidInput, Unavailable
from tarmac.model.realms import RealmOptions

ANN = "ann's password"


@pytest.fixture(scope="module")
def server() -> Iterator[LdapServer]:
    people = [person("ann", ANN, mail="ann@example.org"), person("bob", "bob's", description="<Bäcker> & Söhne ")]
    with ldap_server(*people, group("staff", "ann", "bob")) as running:
        yield running


def options(server: LdapServer, **changed: Any) -> RealmOptions:
    told = {
        "server1": "127.0.0.1", "port": server.port, "base_dn": BASE, "user_attr": "uid", "bind_dn": MANAGER,
        "password": SECRET, **changed,
    }  # fmt: skip
    return RealmOptions(**told)


async def test_a_password_fits_or_not(server: LdapServer) -> None:
    realm = Directory("ldap", options(server))
    assert await realm.fits("ann", ANN)
    assert not await realm.fits("ann", "wrong")
    assert not await realm.fits("nobody", ANN)
    await realm.check()


async def test_an_empty_password_never_reaches_a_server(server: LdapServer, monkeypatch: pytest.MonkeyPatch) -> None:
    realm = Directory("ldap", options(server))
    # slapd would say yes: without a password one is nobody, who may ask who it is.
    assert not await realm.fits("ann", "")
    assert not await realm.fits("ann", "\0")
    asked = []

    async def run(*words: Any, **more: Any) -> Any:
        asked.append(words)
        raise AssertionError("a process was started")

    monkeypatch.setattr(ldap, "run", run)
    with pytest.raises(InvalidInput):
        await Directory("ldap", options(server, password="")).check()
    assert asked == []


@pytest.mark.parametrize("name", ["*", "ann)(uid=*", "a*", "*)(objectClass=*", "(ann)", "ann\\2a", "\\", "a\0b", "-x"])
async def test_a_name_is_only_a_value(server: LdapServer, name: str) -> None:
    assert not await Directory("ldap", options(server)).fits(name, ANN)


def test_what_is_escaped() -> None:
    assert escape("a*(b)\\ä\0-") == r"a\2a\28b\29\5c\c3\a4\00-"


async def test_what_is_found_is_whole(server: LdapServer) -> None:
    found = await Directory("ldap", options(server)).search(BASE, "(uid=*)", ["uid", "description", "mail"])
    assert {entry.first("uid"): entry.first("DESCRIPTION") for entry in found} == {
        "ann": "", "bob": "<Bäcker> & Söhne "
    }  # fmt: skip
    assert next(e for e in found if e.first("uid") == "ann").dn == f"uid=ann,ou=people,{BASE}"


@pytest.mark.parametrize("mode", ["ldaps", "ldap+starttls"])
async def test_the_certificate_is_checked(server: LdapServer, mode: str) -> None:
    port = server.tls_port if mode == "ldaps" else server.port
    told = {"mode": mode, "port": port, "verify": True, "sslversion": "tlsv1_2"}
    assert await Directory("ldap", options(server, **told, capath=str(server.authority))).fits("ann", ANN)
    with pytest.raises(Unavailable) as refused:
        await Directory("ldap", options(server, **told)).fits("ann", ANN)  # an authority of the host's did not sign it
    assert refused.value.error_code == "ldap-unreachable"
    assert await Directory("ldap", options(server, mode=mode, port=port)).fits("ann", ANN)  # nobody asked to check


async def test_a_directory_of_authorities(server: LdapServer, tmp_path: Any) -> None:
    told = {"mode": "ldaps", "port": server.tls_port, "verify": True, "capath": str(tmp_path)}
    with pytest.raises(HostFailure) as refused:
        await Directory("ldap", options(server, **told)).fits("ann", ANN)
    assert refused.value.error_code == "ldap-capath"
    (tmp_path / "ours.pem").write_bytes(server.authority.read_bytes())
    assert await Directory("ldap", options(server, **told)).fits("ann", ANN)


async def test_the_realms_own_login_is_told_apart(server: LdapServer) -> None:
    with pytest.raises(HostFailure) as refused:
        await Directory("ldap", options(server, password="wrong")).fits("ann", ANN)
    assert refused.value.error_code == "ldap-bind-refused"
    with pytest.raises(HostFailure) as refused:
        await Directory("ldap", options(server, base_dn="dc=elsewhere")).check()
    assert refused.value.error_code == "ldap-failed"


@contextlib.contextmanager
def nobody_home(port: int = 0) -> Iterator[int]:
    """Who takes connections (the kernel does) and says nothing, on 127.0.0.2; yields the port."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.2", port))
        sock.listen(8)
        yield sock.getsockname()[1]


async def test_the_second_server_is_asked_when_the_first_hangs_or_is_away(
    server: LdapServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ldap, "BIND_SECONDS", 1.0)
    # One port for both: nothing listens on 127.0.0.3, and on 127.0.0.2 somebody who does not answer.
    assert await Directory("ldap", options(server, server1="127.0.0.3", server2="127.0.0.1")).fits("ann", ANN)
    with nobody_home(server.port):
        realm = Directory("ldap", options(server, server1="127.0.0.2", server2="127.0.0.1"))
        assert await realm.fits("ann", ANN)
        assert not await realm.fits("ann", "wrong")


async def test_a_hanging_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ldap, "BIND_SECONDS", 0.5)
    with nobody_home() as port:
        told = RealmOptions(server1="127.0.0.2", port=port, base_dn=BASE, user_attr="uid")
        with pytest.raises(Unavailable) as refused:
            await Directory("ldap", told).fits("ann", ANN)
    assert "did not answer within 0.5 s" in refused.value.evidence


async def test_nothing_secret_is_in_the_arguments(server: LdapServer, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    real = ldap.run

    async def run(argv: Any, **more: Any) -> Any:
        seen.append((argv, more["env"]))
        return await real(argv, **more)

    monkeypatch.setattr(ldap, "run", run)
    assert await Directory("ldap", options(server)).fits("ann", ANN)
    assert len(seen) == 2 and SECRET not in str(seen) and ANN not in str(seen)


async def test_active_directory_knows_users_by_name_and_domain() -> None:
    """slapd takes only distinguished names: here a socket stands for the domain controller."""
    asked: list[bytes] = []

    ended = asyncio.Semaphore(0)

    async def controller(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bind = await reader.read(4096)
        asked.append(bind)
        good = b"her secret" in bind
        result = bytes([0x0A, 1, 0 if good else 49, 4, 0, 4, 0])
        writer.write(bytes([0x30, 5 + len(result), 2, 1, 1, 0x61, len(result)]) + result)
        if good:
            await reader.read(4096)
            writer.write(bytes([0x30, 12, 2, 1, 2, 0x65, 7, 0x0A, 1, 0, 4, 0, 4, 0]))
        await writer.drain()
        await reader.read()
        writer.close()
        ended.release()

    listener = await asyncio.start_server(controller, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        realm = Directory("ad", RealmOptions(server1="127.0.0.1", port=port, domain="example.org"))
        assert await realm.fits("ann", "her secret")
        assert not await realm.fits("ann", "another")
        for _ in asked:
            await ended.acquire()
    assert all(b"ann@example.org" in bind for bind in asked) and len(asked) == 2


async def test_a_caller_that_goes_away_leaves_no_process() -> None:
    with nobody_home() as port:
        told = RealmOptions(server1="127.0.0.2", port=port, base_dn=BASE, user_attr="uid")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await Directory("ldap", told).fits("ann", ANN)
        left = [p for p in psutil.Process().children(recursive=True) if "ldapsearch" in p.cmdline()]
    assert left == []


def test_ldif_as_it_is_printed() -> None:
    text = "dn:: w6Q9MQ==\ncn: a: b\ncn:: w6Q=\n\n# refldap://elsewhere\n\ndn: x=2\ncn:\n"
    assert list(parse_ldif(text)) == [Entry("ä=1", {"cn": ["a: b", "ä"]}), Entry("x=2", {"cn": [""]})]
