"""Changes of the host: whole files or nothing, only by the host's own daemon. In a directory that stands for /etc."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import pytest

from support.together import outcomes
from tarmac.model.errors import Conflict, Denied, InvalidInput
from tarmac.services.jobs.jobs import Jobs
from tarmac.services.jobs.steps import Registry
from tarmac.services.node import host_info
from tarmac.services.node.host_changes import HostChanges


def changes(etc: Path, *, own: bool = True) -> HostChanges:
    return HostChanges(own=own, jobs=cast(Jobs, None), registry=Registry(), etc=etc)


async def test_name_servers_change_and_other_lines_stay(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("domain old.example\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions edns0\n")
    await changes(tmp_path).set_dns(search="new.example", servers=("2001:db8::1",))
    assert path.read_text() == "search new.example\nnameserver 2001:db8::1\noptions edns0\n"
    await changes(tmp_path).set_dns(search="third.example", servers=())
    assert host_info.dns(path) == {"search": "third.example", "dns1": "2001:db8::1"}


@pytest.mark.parametrize("search", ["a.example\nnameserver 192.0.2.66", "a\rb", "a\0"])
async def test_a_search_domain_is_one_line(tmp_path: Path, search: str) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 192.0.2.1\n")
    with pytest.raises(InvalidInput) as problem:
        await changes(tmp_path).set_dns(search=search, servers=())
    assert "search" in problem.value.parameters
    assert path.read_text() == "nameserver 192.0.2.1\n"


async def test_a_linked_resolv_conf_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("nameserver 192.0.2.1\n")
    (tmp_path / "resolv.conf").symlink_to("real")
    await changes(tmp_path).set_dns(search="a.example", servers=("192.0.2.3",))
    assert (tmp_path / "resolv.conf").is_symlink()
    assert "192.0.2.3" in (tmp_path / "real").read_text()


async def test_the_hosts_file_changes_only_from_what_was_read(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n")
    seen = host_info.hosts(path)["digest"]
    await changes(tmp_path).set_hosts(data="127.0.0.1 localhost\n192.0.2.7 seven", digest=seen)
    assert path.read_text() == "127.0.0.1 localhost\n192.0.2.7 seven\n"
    with pytest.raises(Conflict, match="detected modified configuration"):
        await changes(tmp_path).set_hosts(data="gone\n", digest=seen)
    assert "seven" in path.read_text()
    assert sorted(os.listdir(tmp_path)) == ["hosts"]


async def test_of_changes_at_once_from_the_same_reading_one_counts(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n")
    seen, host = host_info.hosts(path)["digest"], changes(tmp_path)
    done = await outcomes(host.set_hosts(data=f"192.0.2.{n} host\n", digest=seen) for n in range(8))
    assert [type(one) for one in done].count(Conflict) == 7
    assert path.read_text() == f"192.0.2.{done.index(None)} host\n"


async def test_only_installed_zones_are_taken(tmp_path: Path) -> None:
    await changes(tmp_path).set_timezone("Europe/Vienna")
    assert (tmp_path / "localtime").resolve().name == "Vienna"
    assert (tmp_path / "timezone").read_text() == "Europe/Vienna\n"
    for zone in ("Mars/Olympus", "../../etc/passwd", "/etc/passwd", "zone.tab", "Europe"):
        with pytest.raises(InvalidInput) as problem:
            await changes(tmp_path).set_timezone(zone)
        assert "timezone" in problem.value.parameters
    assert (tmp_path / "timezone").read_text() == "Europe/Vienna\n"


async def test_another_daemon_than_the_hosts_changes_nothing(tmp_path: Path) -> None:
    other: Any = changes(tmp_path, own=False)
    for attempt in (
        other.set_dns(search="a", servers=()),
        other.set_hosts(data="x", digest=None),
        other.set_timezone("Europe/Vienna"),
        other.power("reboot"),
        other.change_unit(None, "cron", "restart"),
        other.refresh_packages(None),
    ):
        with pytest.raises(Denied, match="not the host's own"):
            await attempt
    assert not os.listdir(tmp_path)
