"""Cloud-init: Proxmox's documents, nothing injected, validated before they are kept, a medium that follows them."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.examples import examples
from support.storage_site import Site, site
from tarmac.drivers.storage.nocloud import build_iso
from tarmac.model.errors import HostFailure, InvalidInput, NotBuilt, NotFound
from tarmac.model.vm import VmConfig
from tarmac.services.cloudinit.cloudinit import hash_password
from tarmac.services.cloudinit.documents import HostDns, meta_data, network_config, user_data
from tarmac.services.cloudinit.schema import Schemas

TEXTS = {
    "name": "web.example.org",
    "ciuser": "ada",
    "cipassword": "$6$salt$hash",
    "sshkeys": "ssh-ed25519%20AAAA%20a%40b%0Assh-rsa%20BBBB%20c%0A",
    "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0",
    "net1": "virtio=BC:24:11:00:00:02,bridge=vmbr0",
    "net2": "virtio=BC:24:11:00:00:03,bridge=vmbr0",
    "ipconfig0": "ip=10.0.0.5/24,gw=10.0.0.1,ip6=auto",
    "ipconfig1": "ip=dhcp,ip6=2001:db8::5/64,gw6=2001:db8::1",
    "nameserver": "10.0.0.2 10.0.0.3",
    "searchdomain": "example.org",
    "ide2": "local:100/vm-100-cloudinit.qcow2,media=cdrom",
}
BOMB = "#cloud-config\n" + "".join(
    f"{key}: &{key} [{','.join([below] * 10)}]\n"
    for below, key in zip(["x", "*a", "*b", "*c", "*d"], "abcde", strict=True)
)
STATIC = "version: 1\nconfig:\n- {{type: physical, name: e, subnets: [\n  {{type: static,\n  address: {}}}]}}\n"
DNS = HostDns.parse("nameserver 127.0.0.53\nnameserver 192.0.2.1\nsearch lan\n")


@pytest.fixture(scope="session")
def schema_cache() -> Iterator[Path]:
    """Cloud-init's own schemas, from Debian's package."""
    made = Path(tempfile.mkdtemp(prefix="tarmac-schemas-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
async def schemas(schema_cache: Path) -> Schemas:
    found = Schemas(schema_cache)
    try:
        await found.fetch()
    except HostFailure as problem:
        pytest.skip(f"cloud-init's package cannot be had here: {problem.evidence}")
    return found


@pytest.fixture
async def local(schemas: Schemas, schema_cache: Path) -> AsyncIterator[Site]:
    async with site(schemas=schema_cache) as made:
        yield made


def conf(**changes: str) -> str:
    return "".join(f"{key}: {text}\n" for key, text in {**TEXTS, **changes}.items())


def test_user_data_is_proxmoxs() -> None:
    text = user_data(VmConfig.parse(TEXTS), 100)
    assert text.startswith("#cloud-config\n")
    assert yaml.safe_load(text) == {
        "hostname": "web",
        "manage_etc_hosts": True,
        "fqdn": "web.example.org",
        "user": "ada",
        "password": "$6$salt$hash",
        "ssh_authorized_keys": ["ssh-ed25519 AAAA a@b", "ssh-rsa BBBB c"],
        "chpasswd": {"expire": False},
        "users": ["default"],
        "package_upgrade": True,
    }
    root = yaml.safe_load(user_data(VmConfig.parse({"ciuser": "root", "ciupgrade": "0"}), 100))
    assert root == {
        "hostname": "VM100", "manage_etc_hosts": True, "user": "root", "disable_root": False,
        "chpasswd": {"expire": False},
    }  # fmt: skip


def test_network_config_is_proxmoxs() -> None:
    found = yaml.safe_load(network_config(VmConfig.parse(TEXTS), DNS))
    assert found["version"] == 1
    first, second, third, dns = found["config"]
    assert first == {
        "type": "physical", "name": "eth0", "mac_address": "bc:24:11:00:00:01",
        "subnets": [
            {"type": "static", "address": "10.0.0.5", "netmask": "255.255.255.0", "gateway": "10.0.0.1"},
            {"type": "ipv6_slaac"},
        ],
    }  # fmt: skip
    assert second["subnets"] == [
        {"type": "dhcp4"}, {"type": "static6", "address": "2001:db8::5/64", "gateway": "2001:db8::1"},
    ]  # fmt: skip
    assert third["subnets"] == [{"type": "dhcp4"}]
    assert dns == {"type": "nameserver", "address": ["10.0.0.2", "10.0.0.3"], "search": ["example.org"]}


def test_the_hosts_dns_only_where_addresses_are_fixed() -> None:
    fixed = {"net0": TEXTS["net0"], "ipconfig0": "ip=10.0.0.5/24"}
    assert yaml.safe_load(network_config(VmConfig.parse(fixed), DNS))["config"][-1] == {
        "type": "nameserver", "address": ["192.0.2.1"], "search": ["lan"],
    }  # fmt: skip
    leased = yaml.safe_load(network_config(VmConfig.parse({"net0": TEXTS["net0"]}), DNS))
    assert [entry["type"] for entry in leased["config"]] == ["physical"]


def test_the_instance_id_changes_with_the_contents() -> None:
    assert meta_data("a", "b") == "instance-id: da23614e02469a0d7c7bd1bdab5c9c474b1904dc\n"
    assert meta_data("a", "c") != meta_data("a", "b")


@given(st.text(max_size=80).filter(lambda text: "\0" not in text))
def test_no_value_becomes_a_key(text: str) -> None:
    found = yaml.safe_load(user_data(VmConfig.parse({"ciuser": text, "searchdomain": "x", "name": "n"}), 100))
    assert set(found) <= {"hostname", "manage_etc_hosts", "fqdn", "user", "disable_root", "chpasswd", "users",
                          "package_upgrade"}  # fmt: skip


async def test_passwords() -> None:
    hashed = await hash_password("pässword")
    salt = hashed.split("$")[2]
    again = subprocess.run(
        ["openssl", "passwd", "-6", "-salt", salt, "-stdin"], input="pässword\n", capture_output=True, text=True
    )
    assert again.stdout.strip() == hashed
    assert hashed.startswith("$6$")
    assert await hash_password(hashed) == hashed
    with pytest.raises(InvalidInput):
        await hash_password("two\nlines")


async def test_generated_documents_fit_cloud_inits_schema(schemas: Schemas) -> None:
    config = VmConfig.parse(TEXTS)
    assert schemas.check("user", user_data(config, 100)).schema
    checked = schemas.check("network", network_config(config, DNS))
    assert checked.schema or "not there" in checked.note


@pytest.mark.parametrize(
    ("kind", "text", "line", "word"),
    [
        ("user", "#cloud-config\npackages: [a]\nruncmd: 7\n", 3, "runcmd"),
        ("user", "#cloud-config\nusers:\n  - name: a\n    sudo: [1\n", 5, "YAML"),
        ("user", "hello\n", 1, "forms"),
        ("user", "#cloud-config \na: 1\n", 1, "nothing but"),
        ("user", "#cloud-config\n- a\n", 1, "mapping"),
        ("user", BOMB, 1, "unfold"),
        ("user", "#cloud-config\na: &a\n  b: *a\n", 1, "unfold"),
        ("network", "version: 3\n", 1, "version"),
        ("network", "a: [\n", 2, "YAML"),
        ("network", "network: 5\n", 1, "mapping"),
        ("network", "version: 1\n", 1, "config"),
        ("network", "version: true\nconfig: []\n", 1, "version"),
        ("network", "version: 1\nconfig:\n- type: physical\n  name: eth0\n- type: fysical\n", 5, "config.1.type"),
        ("network", "version: 1\nconfig:\n- type: physical\n", 3, "name"),
        ("network", STATIC.format("10.0.0.300/24"), 5, "config.0.subnets.0.address"),
        ("network", "version: 1\nconfig:\n- type: vlan\n  name: v\n  vlan_link: a\n", 3, "vlan_id"),
        ("network", "network:\n  version: 2\n  etherents: {}\n", 2, "etherents"),
        ("network", "version: 2\nethernets:\n  eth0:\n    dhcp4: perhaps\n", 4, "ethernets.eth0.dhcp4"),
        ("network", "network:\n  version: 2\n  ethernets:\n    e:\n      addresses: 7\n", 5, "ethernets.e.addresses"),
        ("network", "version: 2\nvlans:\n  v:\n    id: 4\n", 4, "link"),
        ("meta", "just text\n", 1, "mapping"),
    ],
)  # fmt: skip
async def test_wrong_documents_name_the_place(schemas: Schemas, kind: str, text: str, line: int, word: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        schemas.check(kind, text)
    problem = caught.value
    assert problem.error_code == "cloudinit-document"
    assert f"line {line}" in problem.message and word in problem.message
    assert problem.cause and problem.evidence and problem.fixes and kind in problem.parameters


@pytest.mark.parametrize(
    "text",
    [
        STATIC.format("10.0.0.30/24"),
        "network:\n  version: 1\n  config:\n  - {type: nameserver, address: [192.0.2.1, '2001:db8::1']}\n",
        "version: 2\nrenderer: networkd\nethernets:\n  e: {dhcp4: yes, match: {driver: virtio_net}, set-name: lan0}\n",
        "version: 2\nethernets: {e: {addresses: [10.0.0.2/8, 'fd00::2/64'], routes: [{to: default, via: 10.0.0.1}]}}\n",
        "version: 2\nbonds:\n  b: {interfaces: [e0, e1], parameters: {mode: 802.3ad}}\nvlans:\n  v: {id: 7, link: b}\n",
        "version: 2\n",
    ],
)  # fmt: skip
async def test_right_network_documents_are_taken(tmp_path: Path, schemas: Schemas, text: str) -> None:
    bare = Schemas(tmp_path, tmp_path).check("network", text)
    assert not bare.schema and "only the structure was checked" in bare.note
    schemas.check("network", text)


async def test_a_network_that_is_left_alone(tmp_path: Path) -> None:
    assert "alone" in Schemas(tmp_path, tmp_path).check("network", "network:\n  config: disabled\n").note


async def test_a_network_schema_of_the_package_is_used(tmp_path: Path) -> None:
    """Newer cloud-inits bring them, in the form of draft 7."""
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {"ethernets": {"propertyNames": {"const": "eth0"}}},
    }
    (tmp_path / "schema-network-config-v2.json").write_text(json.dumps(schema))
    found = Schemas(tmp_path, tmp_path / "none")
    assert found.check("network", "version: 2\nethernets: {eth0: {}}\n").schema
    with pytest.raises(InvalidInput, match="line 2, ethernets"):
        found.check("network", "version: 2\nethernets: {eth1: {}}\n")


async def test_other_forms_of_user_data_are_taken(schemas: Schemas) -> None:
    for text in ("#!/bin/sh\nexit 0\n", "#include\nhttps://x/y\n", "## template: jinja\n#cloud-config\n"):
        assert not schemas.check("user", text).schema
    with pytest.raises(InvalidInput):
        schemas.check("user", "#cloud-config\n#" + "x" * 300_000)


async def test_without_schemas_the_answer_says_so(tmp_path: Path) -> None:
    checked = Schemas(tmp_path, tmp_path).check("user", "#cloud-config\nruncmd: 7\n")
    assert not checked.schema and "not there" in checked.note


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(60))
@given(text=st.text(max_size=200))
def test_any_text_is_taken_or_refused(tmp_path: Path, text: str) -> None:
    for kind in ("user", "network", "meta"):
        for start in ("", "#cloud-config\n"):
            try:
                Schemas(tmp_path, tmp_path).check(kind, start + text)
            except InvalidInput as problem:
                assert kind in problem.parameters


async def test_equal_documents_give_equal_media() -> None:
    documents = {"user-data": b"#cloud-config\n", "meta-data": b"instance-id: 1\n", "network-config": b"version: 1\n"}
    assert await build_iso(documents) == await build_iso(documents)
    assert await build_iso(documents) != await build_iso({**documents, "user-data": b"#cloud-config\na: 1\n"})


def medium(local: Site, name: str = "user-data") -> str:
    """A file of the medium as a guest reads it."""
    flat = local.root / "flat.iso"
    image = local.root / "storage/images/100/vm-100-cloudinit.qcow2"
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", image, flat], check=True)
    assert flat.stat().st_size == 4 << 20
    label = subprocess.run(["isoinfo", "-d", "-i", flat], check=True, capture_output=True, text=True).stdout
    assert "Volume id: cidata" in label
    return subprocess.run(
        ["isoinfo", "-R", "-x", f"/{name}", "-i", flat], check=True, capture_output=True, text=True
    ).stdout


async def test_the_medium_follows_the_configuration(local: Site) -> None:
    local.guest(100, conf())
    new = await local.cloudinit.plan_medium(100, "ide2", "local")
    assert new.volid == "local:100/vm-100-cloudinit.qcow2"
    assert {row["key"] for row in await local.cloudinit.pending(100) if "pending" in row} >= {"ciuser", "net0"}
    assert await local.cloudinit.regenerate(100) is True
    assert await local.cloudinit.regenerate(100) is False
    assert medium(local) == await local.cloudinit.dump(100, "user")
    assert medium(local, "network-config") == await local.cloudinit.dump(100, "network")
    assert medium(local, "meta-data") == await local.cloudinit.dump(100, "meta")
    assert not any("pending" in row for row in await local.cloudinit.pending(100))
    local.guest(100, conf(ciuser="eve", cipassword="$6$a$b"))
    changed = {row["key"]: row for row in await local.cloudinit.pending(100) if "pending" in row}
    assert changed["ciuser"] == {"key": "ciuser", "value": "ada", "pending": "eve"}
    assert changed["cipassword"]["pending"] == "**********"
    assert await local.cloudinit.regenerate(100) is True
    assert "user: eve" in medium(local)
    assert local.files() == ["images/100/vm-100-cloudinit.qcow2"]


async def test_documents_of_ones_own(local: Site) -> None:
    local.guest(100, conf())
    text = "#cloud-config\nruncmd:\n  - echo hi\n"
    assert (await local.cloudinit.set_document(100, "user", text)).schema
    assert await local.cloudinit.dump(100, "user") == text
    await local.cloudinit.regenerate(100)
    assert medium(local) == text
    with pytest.raises(InvalidInput):
        await local.cloudinit.set_document(100, "user", "#cloud-config\nruncmd: 7\n")
    assert await local.cloudinit.documents(100) == {"user": text}
    await local.cloudinit.delete_document(100, "user")
    assert "user: ada" in await local.cloudinit.dump(100, "user")
    await local.cloudinit.forget(100)
    assert await local.store.range("cloudinit/") == []
    with pytest.raises(NotFound, match="does not exist"):
        await local.cloudinit.set_document(101, "user", text)


async def test_snippets(local: Site) -> None:
    (local.root / "storage/snippets/u.yaml").write_text("#cloud-config\na: 1\n")
    local.guest(100, conf(cicustom="user=local:snippets/u.yaml"))
    assert await local.cloudinit.dump(100, "user") == "#cloud-config\na: 1\n"
    local.guest(100, conf(cicustom="user=local:iso/u.iso"))
    with pytest.raises(InvalidInput):
        await local.cloudinit.dump(100, "user")


async def test_what_is_not_built(local: Site) -> None:
    local.guest(100, conf(citype="configdrive2"))
    with pytest.raises(NotBuilt):
        await local.cloudinit.regenerate(100)
    local.guest(100, "name: x\n")
    with pytest.raises(InvalidInput, match="no cloud-init drive"):
        await local.cloudinit.regenerate(100)
