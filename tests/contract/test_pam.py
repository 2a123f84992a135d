"""The host's users through the real PAM library: a service of the test's own, and pam_unix on accounts of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tarmac.drivers.auth.pam import Pam
from tarmac.model.errors import HostFailure

MODULES = Path("/lib/x86_64-linux-gnu/security")
CHECK = """#!/bin/sh
read -r password
echo "$PAM_USER $PAM_RHOST $PAM_SERVICE" >> {seen}
[ "$password" = "right horse" ]
"""
SERVICE = """auth [success=1 default=ignore] pam_exec.so expose_authtok quiet {script}
auth requisite pam_deny.so
auth required pam_permit.so
account required {account}
"""

UNIX = """
import asyncio, sys
from tarmac.drivers.auth.pam import Pam
from pathlib import Path
async def main():
    pam = Pam("login", confdir=Path(sys.argv[1]))
    for user, password in (("tarmacer", "right horse"), ("tarmacer", "wrong"), ("tarmacer", ""), ("nobody-here", "x"),
                           ("blank", "anything"), ("locked", "right horse"), ("expired", "right horse")):
        print(user, await pam.fits(user, password, source="192.0.2.7"))
asyncio.run(main())
"""


def service(directory: Path, account: str = "pam_permit.so") -> Pam:
    script = directory / "check"
    script.write_text(CHECK.format(seen=directory / "seen"))
    script.chmod(0o755)
    (directory / "tarmac").write_text(SERVICE.format(script=script, account=account))
    return Pam(confdir=directory)


@pytest.fixture(autouse=True)
def pam_is_here() -> None:
    if not (MODULES / "pam_exec.so").exists():
        pytest.skip("libpam-modules is not installed here")


async def test_pam_decides(tmp_path: Path) -> None:
    pam = service(tmp_path)
    assert await pam.fits("root", "right horse", source="192.0.2.7")
    assert not await pam.fits("root", "wrong", source="192.0.2.7")
    assert (tmp_path / "seen").read_text().splitlines()[0] == "root 192.0.2.7 tarmac"
    count = len((tmp_path / "seen").read_text().splitlines())
    for name, password in (("root", ""), ("", "x"), ("ro\0ot", "x"), ("root", "x\0y"), ("\ud800", "x")):
        assert not await pam.fits(name, password, source="")
    assert len((tmp_path / "seen").read_text().splitlines()) == count


async def test_an_account_that_may_not_log_in_is_refused(tmp_path: Path) -> None:
    assert not await service(tmp_path, account="pam_deny.so").fits("root", "right horse", source="")


async def test_a_broken_service_is_no_answer(tmp_path: Path) -> None:
    (tmp_path / "tarmac").write_text("auth required pam_not_there.so\n")
    with pytest.raises(HostFailure) as caught:
        await Pam(confdir=tmp_path).fits("root", "x", source="")
    assert caught.value.error_code == "pam-failed" and caught.value.evidence and caught.value.fixes


def test_real_accounts_by_pam_unix(tmp_path: Path) -> None:
    """In a mount namespace of its own, with its own passwd and shadow files: the host's are not touched."""
    if os.geteuid() != 0:
        pytest.skip("PAM asks root only about other users' passwords")
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=b"right horse\n", capture_output=True, check=True
    ).stdout.decode().strip()  # fmt: skip
    users = {"tarmacer": hashed, "blank": "", "locked": f"!{hashed}", "expired": hashed}
    passwd, shadow = Path("/etc/passwd").read_text(), Path("/etc/shadow").read_text()
    for number, (name, secret) in enumerate(users.items(), start=64100):
        passwd += f"{name}:x:{number}:{number}::/nonexistent:/bin/sh\n"
        shadow += f"{name}:{secret}:19000:0:99999:7::{'19001' if name == 'expired' else ''}:\n"
    (tmp_path / "passwd").write_text(passwd)
    (tmp_path / "shadow").write_text(shadow)
    (tmp_path / "pam").mkdir()
    (tmp_path / "pam" / "login").write_text("auth required pam_unix.so nullok nodelay\naccount required pam_unix.so\n")
    script = (
        f"mount --bind {tmp_path}/passwd /etc/passwd && mount --bind {tmp_path}/shadow /etc/shadow"
        f' && exec "$0" -c "$1" {tmp_path}/pam'
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, sys.executable, UNIX], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "tarmacer True",
        "tarmacer False",
        "tarmacer False",
        "nobody-here False",
        "blank False",  # an account without a password lets nobody in
        "locked False",
        "expired False",
    ]
