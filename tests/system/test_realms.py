"""Realms of a real directory server in a real daemon: made, synchronized, logged in by, cut off."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator
from typing import Any

import pytest

from support.daemon import ApiError, TestDaemon, eventually, test_daemon
from support.ldap_server import BASE, MANAGER, SECRET, LdapServer, ad_group, ad_person, group, ldap_server, person
from support.walk import Somebody

ANN = "ann's password"
MAPPING = "email=mail,firstname=givenName"


@pytest.fixture(scope="module")
def server() -> Iterator[LdapServer]:
    people = [person("ann", ANN, mail="ann@example.org", givenName="Ann"), person("bob", "bob's"), person("eve")]
    with ldap_server(*people, group("staff", "ann", "bob")) as running:
        yield running


def settings(server: LdapServer, **changed: Any) -> dict[str, Any]:
    return {
        "type": "ldap", "server1": "127.0.0.1", "port": server.port, "base_dn": BASE, "user_attr": "uid",
        "bind_dn": MANAGER, "password": SECRET, "sync_attributes": MAPPING, "filter": "(!(uid=eve))", **changed,
    }  # fmt: skip


@pytest.fixture(scope="module")
def realm(daemon: TestDaemon, server: LdapServer) -> str:
    daemon.post("/access/domains", realm="corp", **settings(server), **{"check-connection": 1})
    return "corp"


def login(daemon: TestDaemon, username: str, password: str) -> int:
    return Somebody(daemon, {}).call("POST", "/access/ticket", {"username": username, "password": password})[0]


def users(daemon: TestDaemon, realm: str) -> list[str]:
    return [row["userid"] for row in daemon.get("/access/users") if row["userid"].endswith(f"@{realm}")]


def test_what_does_not_connect_is_not_kept(daemon: TestDaemon, server: LdapServer) -> None:
    with pytest.raises(ApiError) as refused:
        daemon.post("/access/domains", realm="bad", **settings(server, password="wrong"), **{"check-connection": 1})
    assert refused.value.body["error"]["code"] == "ldap-bind-refused"
    assert "bad" not in [row["realm"] for row in daemon.get("/access/domains")]
    with pytest.raises(ApiError, match="realms of type pam have no directory"):
        daemon.post("/access/domains/pam/sync", scope="both")


def test_a_dry_run_only_tells(daemon: TestDaemon, realm: str) -> None:
    shown = daemon.get(f"/access/domains/{realm}")
    assert "password" not in shown and SECRET not in str(shown)
    upid = daemon.post(f"/access/domains/{realm}/sync", scope="both", **{"dry-run": 1})
    assert daemon.wait_task(upid)["exitstatus"] == "OK"
    assert "adding user 'ann@corp'" in daemon.task_log(upid) and users(daemon, realm) == []
    plan = daemon.post(f"/access/domains/{realm}/sync", scope="both", dryrun=1)
    assert plan["steps"][0]["step"] == "realm-sync" and users(daemon, realm) == []


def test_by_the_clock(daemon: TestDaemon, realm: str) -> None:
    jobs = "/cluster/jobs/realm-sync"
    daemon.post(f"{jobs}/night", realm=realm, schedule="02:30", scope="both")
    daemon.put(f"{jobs}/night", schedule="03:30", comment="later")
    (row,) = daemon.get(jobs)
    assert row["schedule"] == "03:30" and row["next-run"] > 0 and row["owner"] == "root@pam"
    daemon.delete(f"{jobs}/night")
    assert daemon.get(jobs) == []


def test_synchronize_log_in_and_vanish(daemon: TestDaemon, server: LdapServer, realm: str) -> None:
    assert login(daemon, "ann@corp", ANN) == 401, "not a user yet"
    daemon.task("POST", f"/access/domains/{realm}/sync", scope="both")
    assert users(daemon, realm) == ["ann@corp", "bob@corp"]
    ann = daemon.get("/access/users/ann@corp")
    assert (ann["email"], ann["firstname"], ann["groups"]) == ("ann@example.org", "Ann", ["staff-corp"])
    daemon.put("/access/acl", path="/", groups="staff-corp", roles="PVEAuditor")
    daemon.put("/access/acl", path="/", users="bob@corp", roles="PVEAuditor")
    status, _, body = Somebody(daemon, {}).call("POST", "/access/ticket", {"username": "ann@corp", "password": ANN})
    assert status == 200
    ticket = Somebody(daemon, {"Cookie": f"PVEAuthCookie={body['data']['ticket']}"})
    assert ticket.call("GET", "/nodes/n1/status")[0] == 200, "by the group's grant"
    assert [login(daemon, "ann@corp", wrong) for wrong in ("wrong", "")] == [401, 401]
    assert login(daemon, "ann)(uid=*@corp", ANN) == 401
    server.remove("uid=bob,ou=people")
    server.modify(f"dn: uid=ann,ou=people,{BASE}\nchangetype: modify\nreplace: mail\nmail: new@example.org\n")
    vanished = {"remove-vanished": "acl;entry"}
    daemon.task("POST", f"/access/domains/{realm}/sync", scope="both", **vanished)
    assert users(daemon, realm) == ["ann@corp"]
    assert daemon.get("/access/users/ann@corp")["email"] == "new@example.org"
    assert not [row for row in daemon.get("/access/acl") if row["ugid"] == "bob@corp"]
    told = daemon.tail() + str(daemon.get("/access/audit")) + str(daemon.get("/access/tfa"))
    assert SECRET not in told and ANN not in told


def test_active_directorys_users_and_groups(daemon: TestDaemon, server: LdapServer) -> None:
    """slapd with Active Directory's classes; a login there is in tests/contract/test_ldap.py."""
    server.add(ad_person("Ada", "Ada Lovelace"), ad_group("Makers", "Ada Lovelace"))
    told = {**settings(server), "type": "ad", "domain": "example.org", "case-sensitive": 0}
    daemon.post("/access/domains", realm="win", **{k: v for k, v in told.items() if k not in ("user_attr", "filter")})
    daemon.task("POST", "/access/domains/win/sync", scope="both")
    assert users(daemon, "win") == ["ada@win"]
    assert daemon.get("/access/groups/Makers-win")["members"] == ["ada@win"]


def test_a_server_that_hangs_or_is_away_removes_nobody(daemon: TestDaemon, server: LdapServer, realm: str) -> None:
    server.stop()
    upid = daemon.post(f"/access/domains/{realm}/sync", scope="both", **{"remove-vanished": "acl;entry;properties"})
    assert "does not answer" in daemon.wait_task(upid)["exitstatus"]
    assert users(daemon, realm) == ["ann@corp"]
    assert login(daemon, "ann@corp", ANN) == 401
    server.start()
    assert login(daemon, "ann@corp", ANN) == 200
    # A directory in which nobody fits is taken for a mistake.
    daemon.put(f"/access/domains/{realm}", filter="(uid=nobody)")
    upid = daemon.post(f"/access/domains/{realm}/sync", scope="both", **{"remove-vanished": "entry"})
    assert "has no user that fits" in daemon.wait_task(upid)["exitstatus"]
    assert users(daemon, realm) == ["ann@corp"]
    daemon.put(f"/access/domains/{realm}", filter="(!(uid=eve))")


def test_others_are_served_while_a_server_hangs(daemon: TestDaemon, server: LdapServer, realm: str) -> None:
    server.hang()
    try:
        upid = daemon.post(f"/access/domains/{realm}/sync", scope="users")
        assert daemon.get(f"/nodes/n1/tasks/{upid}/status")["status"] == "running"
        daemon.post("/access/users", userid="local@pve", password="a good password")
        assert login(daemon, "local@pve", "a good password") == 200
        daemon.delete(f"/nodes/n1/tasks/{upid}")
        assert daemon.wait_task(upid)["exitstatus"] == "interrupted by signal"
    finally:
        server.go_on()


def test_a_synchronization_that_a_crash_cuts_off_is_done_again(server: LdapServer) -> None:
    server.add(*(person(f"many{n:03}") for n in range(150)))
    with test_daemon(crash_at="realm-sync:batch") as daemon:
        daemon.post("/access/domains", realm="corp", **settings(server))
        with contextlib.suppress(OSError, http.client.HTTPException):  # the crash may come before the answer
            daemon.post("/access/domains/corp/sync", scope="users")
        assert daemon.wait_dead() < 0
        daemon.start()
        eventually(lambda: len(users(daemon, "corp")) == 151)
        assert daemon.get(f"/nodes/{daemon.node}/tasks", typefilter="auth-realm-sync")[0]["status"] == "OK"
