"""Taps, in a network namespace of their own: the cases are in `tap_cases.py`, and run there by a second pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tarmac.drivers.network.names import LONGEST, tap_name, tap_prefix
from tarmac.drivers.network.tap import Taps
from tarmac.model.errors import TarmacError


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces, taps, bridges")
def test_taps_in_a_namespace(tiny_image: Path) -> None:
    cases = Path(__file__).with_name("tap_cases.py")
    before = sorted(os.listdir("/sys/class/net"))
    done = subprocess.run(
        ["unshare", "--net", "--mount", "--", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", cases],
        env={**os.environ, "TARMAC_TEST_TINY": str(tiny_image)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(".") >= 6, done.stdout
    assert sorted(os.listdir("/sys/class/net")) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_without_rights_the_error_points_to_user_mode() -> None:
    code = (
        "import os\n"
        "from tarmac.drivers.network.tap import open_tap\n"
        "from tarmac.model.errors import TarmacError\n"
        "os.setuid(65534)\n"
        "try: open_tap('tap1i0', bridge='lo')\n"
        "except TarmacError as error: print(error.error_code, error.fixes[-1].text)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.startswith("tap-permission leave `bridge` out for user-mode networking"), done


async def test_missing_bridge_names_what_there_is() -> None:
    with pytest.raises(TarmacError) as caught:
        await Taps().open("tap1i0", bridge="no-such-bridge")
    assert caught.value.error_code == "bridge-missing"
    assert "user-mode" in caught.value.fixes[-1].text


@pytest.mark.parametrize("vmid", [100, 648, 23_328, 999_999_999])
def test_names_are_short_and_no_prefix_of_another(vmid: int) -> None:
    assert tap_name("", 100, 0) == "tap100i0"
    assert tap_name("other", 100, 0) != tap_name("another", 100, 0)
    for instance in ("", "other"):
        name = tap_name(instance, vmid, 31)
        assert vmid > 10**8 or len(name) <= LONGEST
        strangers = {
            tap_name(instance, other, 1) for other in (1, 10, vmid + 1, vmid * 36, vmid // 36 or 1, vmid // 10)
        }
        assert not [stranger for stranger in strangers if stranger.startswith(tap_prefix(instance, vmid))]
