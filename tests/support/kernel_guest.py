"""Runs tests in a Debian guest whose kernel has NFS, CIFS and device mapper: `python -m support.kernel_guest WORDS`.

The guest gets this tree and the few pure Python packages that pytest needs on a disk of their own, and hands pytest's
results back through a virtio port. Emulated, so each process that a test starts costs it half a second.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from support.kernel_image import KernelImage, kernel_image, lacking

ROOT = Path(__file__).resolve().parents[2]
_CONTRACT = ("", "_capabilities", "_files", "_frozen", "_layers", "_renames")
EVERYTHING = (*(f"tests/contract/test_storage{name}.py" for name in _CONTRACT), "tests/kernel")
PACKAGES = (
    *("_pytest", "pytest", "pytest_asyncio", "pytest_timeout.py", "pluggy", "iniconfig", "packaging", "pygments"),
    *("typing_extensions.py", "py.py", "backports"),
)
LIMIT_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test of the guest's: `how` is `passed`, `failed` or `skipped`, `why` its words, `seconds` the guest's."""

    name: str
    how: str
    why: str
    seconds: float


def run_in_guest(words: Sequence[str], *, log: Path, cores: int = 1, limit: float = LIMIT_SECONDS) -> list[Outcome]:
    """pytest's results for these words (places, options) in a guest of its own. Its serial line is written to `log`.
    Raises RuntimeError with its end where the guest brings none."""
    image = kernel_image()
    place = Path(tempfile.mkdtemp(prefix="tarmac-kernel-"))
    try:
        medium, disk, results = place / "medium", place / "disk", place / "results"
        _medium(place, medium, words)
        with disk.open("wb") as file:
            file.truncate(4 << 30)
        try:
            subprocess.run(_argv(image, medium, disk, results, log, cores), check=True, timeout=limit)
        except subprocess.TimeoutExpired:
            pass
        if not results.exists() or not results.stat().st_size:
            raise RuntimeError(
                f"the guest brought no results; its last words:\n{log.read_text(errors='replace')[-6000:]}"
            )
        return _outcomes(results)
    finally:
        shutil.rmtree(place)


def _argv(image: KernelImage, medium: Path, disk: Path, results: Path, log: Path, cores: int) -> list[str]:
    drives = []
    for path, more in (
        (image.disk, "format=qcow2,snapshot=on"),
        (medium, "format=raw,readonly=on"),
        (disk, "format=raw"),
    ):
        drives += ["-drive", f"if=virtio,file={path},cache=unsafe,discard=unmap,{more}"]
    return [
        *("qemu-system-x86_64", "-machine", "q35,accel=tcg", "-cpu", "max", "-smp", str(cores), "-m", "1024"),
        *("-display", "none", "-vga", "none", "-nic", "none", "-no-reboot", "-monitor", "none", "-nodefaults"),
        *("-serial", f"file:{log}", *drives),
        *("-device", "virtio-serial-pci", "-chardev", f"file,id=results,path={results}"),
        *(
            "-device",
            "virtserialport,chardev=results,name=results",
            "-object",
            "rng-random,id=rng,filename=/dev/urandom",
        ),
        *("-device", "virtio-rng-pci,rng=rng"),
        *("-kernel", str(image.kernel), "-initrd", str(image.initrd)),
        *("-append", "console=ttyS0,115200 quiet no_timer_check mitigations=off random.trust_cpu=on"),
    ]


def _medium(place: Path, medium: Path, words: Sequence[str]) -> None:
    """A file system with what the guest needs of this tree, times kept: Python takes its own compiled files then."""
    stage = place / "stage"
    tree, site = stage / "tree", stage / "site"
    site.mkdir(parents=True)
    for name in ("src/tarmac", "tests/contract", "tests/support", "tests/kernel"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("page"))
    for name in ("pyproject.toml", "docs/storage.md"):
        (tree / name).parent.mkdir(exist_ok=True)
        shutil.copy2(ROOT / name, tree / name)
    here = Path(sysconfig.get_path("purelib"))
    for path in (here / name for name in PACKAGES):
        if path.is_dir():
            shutil.copytree(path, site / path.name)
        elif path.exists():
            shutil.copy2(path, site / path.name)
    for name in ("pytest_asyncio", "pytest_timeout"):  # their entry points make them plugins
        for info in here.glob(f"{name}-*.dist-info"):
            shutil.copytree(info, site / info.name)
    (stage / "words").write_text("\n".join(shlex.quote(word) for word in words) + "\n")
    subprocess.run(
        ["mke2fs", "-q", "-t", "ext4", "-d", str(stage), str(medium), "128M"], check=True, capture_output=True
    )
    shutil.rmtree(stage)


def _outcomes(results: Path) -> list[Outcome]:
    found = []
    for case in ET.fromstring(results.read_bytes()).iter("testcase"):
        how, why = "passed", ""
        for child in case:
            if child.tag in ("failure", "error"):
                how, why = "failed", f"{child.get('message')}\n{child.text}"
            elif child.tag == "skipped":
                how, why = "skipped", str(child.get("message"))
        found.append(Outcome(str(case.get("name")), how, why, float(case.get("time") or 0)))
    return found


def main(words: Sequence[str]) -> int:
    if why := lacking():
        print(f"kernel-storages: {why}", file=sys.stderr)
        return 2
    with tempfile.NamedTemporaryFile(prefix="tarmac-kernel-", suffix=".log") as log:
        # Options alone (`-k nfs`) choose among everything.
        places = () if any(word.startswith("tests/") for word in words) else EVERYTHING
        found = run_in_guest([*places, *words], log=Path(log.name), cores=2)
        print(Path(log.name).read_text(errors="replace"))
    counts = {how: sum(one.how == how for one in found) for how in ("passed", "failed", "skipped")}
    print(", ".join(f"{count} {how}" for how, count in counts.items()))
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
