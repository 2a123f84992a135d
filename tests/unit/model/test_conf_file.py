"""The file form of a configuration: lossless, canonical, and honest about what it cannot read."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.configs import guest_texts
from support.examples import examples
from tarmac.model.conf_file import GuestFile, decode_text, digest, encode_text, parse_conf, print_conf
from tarmac.model.errors import InvalidInput

WHOLE = """#hello%3A w%C3%B6rld
#50% of it
boot: order=scsi0
cores: 2
memory: 2048
net0: virtio=BC:24:11:00:00:01,bridge=vmbr0
net10: virtio=BC:24:11:00:00:02
net2: virtio=BC:24:11:00:00:03
scsi0: local:100/vm-100-disk-0.qcow2,size=32G

[PENDING]
#
cores: 4
delete: net0,!scsi0

[special:cloudinit]
ciuser: somebody
ipconfig0: ip=dhcp

[special:fleecing]
fleecing-images: local:100/vm-100-fleece-0.raw

[before]
cores: 1
snapstate: prepare
snaptime: 1700000000

[later-on]
#a note
memory: 512
parent: before
"""
description = st.text(st.characters(exclude_categories=("Cs",)), min_size=1).map(str.strip).filter(bool)


def test_text_as_proxmox_writes_it_comes_back_byte_for_byte() -> None:
    file = parse_conf(WHOLE)
    assert print_conf(file) == WHOLE
    assert file.current["description"] == "hello: wörld\n50% of it"
    assert file.pending == {"description": "", "cores": "4"}
    assert file.pending_delete == {"net0": False, "scsi0": True}
    assert list(file.snapshots) == ["before", "later-on"]
    assert file.special["cloudinit"] == {"ciuser": "somebody", "ipconfig0": "ip=dhcp"}


def test_escape_in_a_hand_written_comment_is_kept() -> None:
    """Proxmox writes a percent sign as it is, so `%20` in its file may have been meant literally."""
    text = "#a%20b\ncores: 1\n"
    assert parse_conf(text).current["description"] == "a b"
    assert print_conf(parse_conf(text)) == text


def test_merged_applies_what_is_pending() -> None:
    merged = parse_conf(WHOLE).merged()
    assert merged["cores"] == "4" and "net0" not in merged and "scsi0" not in merged and merged["memory"] == "2048"


def test_order_spaces_and_old_names_become_canonical() -> None:
    text = "  \nscsi0:local:100/a.raw  \ncdrom: none,media=cdrom\nsmp: 2\n\n\nagent: 1\r\n"
    assert print_conf(parse_conf(text)) == "agent: 1\nide2: none,media=cdrom\nscsi0: local:100/a.raw\nsockets: 2\n"


def test_digest_is_sha1_of_the_bytes() -> None:
    assert digest("cores: 1\n") == hashlib.sha1(b"cores: 1\n").hexdigest()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("cores: 2\nfrobnicate: 1\n", "line 2: frobnicate: property is not defined"),
        ("cores: many\n", "line 1: cores: type check ('integer') failed"),
        ("cores:\n", "line 1: cores: no value"),
        ("cores: 1\ncores: 2\n", "line 2: cores: stands twice"),
        ("what is this\n", "line 1: unable to parse config: what is this"),
        ("delete: net0\n", "line 1: delete: property 'delete' is only allowed in [PENDING]"),
        ("[PENDING]\ndelete: nothing9\n", "line 2: delete: nothing9"),
        ("[:3]\ncores: x\n", "line 1: unknown section [:3]"),
        ("[special:other]\n", "line 1: unknown section"),
        ("[a1]\n[a1]\n", "line 2: duplicate section [a1]"),
        ("net0: virtio=01:00:00:00:00:00\n", "unicast MAC"),
        ("scsi0: local:../../etc/passwd\n", "line 1: scsi0"),
        ("scsi0: /dev/sda\n", "line 1: scsi0"),
        ("boot: order=floppy0\n", "invalid boot device 'floppy0'"),
    ],
)
def test_strict_names_the_line_and_lenient_reports_it(text: str, where: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_conf(text)
    assert where in caught.value.evidence and caught.value.cause and caught.value.parameters
    assert [str(p) for p in parse_conf(text, lenient=True).problems if where in str(p)]


def test_lenient_keeps_unknown_keys_and_wrong_values() -> None:
    text = "cores: many\nfrobnicate: 1\n"
    assert print_conf(parse_conf(text, lenient=True)) == text


@pytest.mark.parametrize("value", ["", "a\nargs: -x", "a\rb", " a", "a ", "a\0b"])
def test_no_value_can_smuggle_in_a_line(value: str) -> None:
    with pytest.raises(InvalidInput):
        print_conf(GuestFile(current={"ciuser": value}))


@pytest.mark.parametrize("name", ["pending", "PENDING", "a b", "x]\n[y", "9a"])
def test_no_snapshot_name_can_break_the_file(name: str) -> None:
    with pytest.raises(InvalidInput):
        print_conf(GuestFile(snapshots={name: {}}))


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_encoding_of_comments_is_lossless(text: str) -> None:
    assert decode_text(encode_text(text)) == text
    assert encode_text(text).isascii() and "\n" not in encode_text(text) and ":" not in encode_text(text)


@settings(max_examples=examples(150))
@given(
    guest_texts(),
    guest_texts(most=4),
    st.dictionaries(st.sampled_from(["net0", "scsi1", "cores"]), st.booleans()),
    st.dictionaries(st.from_regex(r"s[a-zA-Z0-9_-]+", fullmatch=True), guest_texts(most=3)),
    st.none() | description,
)  # fmt: skip
def test_print_then_parse_is_identity(
    current: dict[str, str],
    pending: dict[str, str],
    gone: dict[str, bool],
    snapshots: dict[str, dict[str, str]],
    notes: str | None,
) -> None:
    if notes is not None:
        current = {**current, "description": notes}
    file = GuestFile(current=current, pending=pending, pending_delete=gone, snapshots=snapshots)
    text = print_conf(file)
    assert parse_conf(text) == file
    assert print_conf(parse_conf(text)) == text


@settings(max_examples=examples(300))
@given(st.text() | st.lists(st.sampled_from(WHOLE.split("\n")) | st.text(max_size=30)).map("\n".join))
@example("[[]\n")
@example("#\x00\ud800\n")
@example("net99999999999999999999: virtio\n")
@example("mbps: 1e999\nscsi0: local:1,mbps=1e99\n")
def test_any_text_is_read_or_refused_by_line(text: str) -> None:
    lenient = parse_conf(text, lenient=True)
    try:
        strict = parse_conf(text)
    except InvalidInput as refused:
        assert lenient.problems
        assert "line " in refused.evidence and refused.parameters
    else:
        assert not lenient.problems and strict == lenient
        again = parse_conf(print_conf(strict))
        assert again == strict
