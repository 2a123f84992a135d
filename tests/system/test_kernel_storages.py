"""NFS, CIFS, LVM and LVM-thin on a real kernel: a part of the storage contract, inside a Debian guest that has them.

`./dev kernel-storages` runs all of it. The guest is emulated, so this is what each kind has of its own: creation and
removal, linked clones, thin volumes' points in time, owners, a server that goes away, a restart of the node.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from support.kernel_guest import Outcome, run_in_guest
from support.kernel_image import lacking

pytestmark = pytest.mark.slow
KINDS = ("nfs", "cifs", "lvm", "lvmthin")
CHOSEN = (
    "tests/contract/test_storage.py::test_a_volume_from_allocation_to_removal",
    "tests/contract/test_storage_layers.py::test_a_point_in_time_keeps_what_was",
    "tests/contract/test_storage_layers.py::test_clones_stand_on_a_base_that_nothing_changes",
    "tests/kernel/test_servers.py",
    "tests/kernel/test_volume_group.py",
)
WITHOUT = "nfs3 or (nfs and raw) or (cifs and raw) or (point_in_time and not lvmthin)"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Outcome]:
    if why := lacking():
        pytest.skip(why)
    log = tmp_path_factory.mktemp("kernel") / "serial.log"
    return run_in_guest([*CHOSEN, "-k", f"not ({WITHOUT})"], log=log, limit=1400)


def of(outcomes: Sequence[Outcome], how: str, kind: str = "") -> list[Outcome]:
    named = (f"[{kind}]", f"[{kind}-")
    return [one for one in outcomes if one.how == how and (not kind or any(word in one.name for word in named))]


@pytest.mark.timeout(1800)
def test_nothing_fails_on_a_real_kernel(outcomes: Sequence[Outcome]) -> None:
    failed = of(outcomes, "failed")
    assert not failed, "\n\n".join(f"{one.name}: {one.why[-3000:]}" for one in failed)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_been_run(outcomes: Sequence[Outcome], kind: str) -> None:
    least = {"nfs": 4, "cifs": 4, "lvm": 1, "lvmthin": 3}
    assert len(of(outcomes, "passed", kind)) >= least[kind], [one.name for one in outcomes]
    assert not of(outcomes, "skipped", kind) or kind.startswith("lvm"), "only what volumes that are no files lack"


def test_a_server_that_goes_away_and_a_restart_of_the_node_were_tried(outcomes: Sequence[Outcome]) -> None:
    passed = " ".join(one.name for one in of(outcomes, "passed"))
    for words in ("goes_away_is_stale", "own_disk_and_nobody_else", "squashes_root", "after_a_restart", "in_use"):
        assert words in passed
