"""Pictures of the web page's main screens, from a real daemon with real guests, into `docs/screenshots`.

    ./dev screenshots

Small WebP files; the tests' own daemon, tiny guest and Chromium are used, and nothing is left behind.
"""

from __future__ import annotations

import base64
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.browser import Visit, visit  # noqa: E402
from support.daemon import TestDaemon, test_daemon  # noqa: E402
from support.images import built_image  # noqa: E402

TARGET = ROOT / "docs/screenshots"
QUALITY = 70
SETTLE_MS = 1500
BOOT_MS = 240_000  # emulated, on a machine that may have much to do
# Name of the file, the address, the scheme.
SCREENS = (
    ("overview", "#/", "light"),
    ("guest", "#/qemu/100", "light"),
    ("console", "#/qemu/100/console", "dark"),
    ("options", "#/qemu/100/options", "dark"),
    ("cloud-init", "#/qemu/100/cloudinit", "light"),
    ("snapshots", "#/qemu/101/snapshots", "light"),
    ("history", "#/qemu/100/history", "light"),
    ("storage", "#/storage/local", "dark"),
)


def furnish(daemon: TestDaemon) -> None:
    """Guests as somebody might have them."""
    image = daemon.add_image(built_image("tiny"))
    web = {"tags": "web;prod", "net0": "virtio", "ide2": "local:cloudinit", "ciuser": "ann", "ipconfig0": "ip=dhcp"}
    daemon.create(100, image, name="web-1", cores=2, **web)
    daemon.create(101, image, name="db-1", tags="db;prod")
    daemon.create(102, image, name="build-1", tags="test")
    for vmid in (100, 102):
        daemon.task("POST", f"{daemon.qemu}/{vmid}/status/start")
    for name in ("clean", "before-update"):
        daemon.task("POST", f"{daemon.qemu}/101/snapshot", snapname=name)
    daemon.put(f"{daemon.qemu}/100/config", memory=192, onboot=1)
    daemon.put(f"{daemon.qemu}/100/config", description="The shop's front.")


def keep(page: Visit, name: str) -> None:
    """What is shown now, as a small file."""
    page.page.wait_for_timeout(SETTLE_MS)
    session = page.page.context.new_cdp_session(page.page)
    taken = session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    (TARGET / f"{name}.webp").write_bytes(base64.b64decode(taken["data"]))
    session.detach()


def type_into(page: Visit) -> None:
    """Have the system in the console say something: what it said before nobody looked is not shown again."""
    rows = page.page.locator(".terminal .xterm-rows")
    rows.wait_for()
    for _ in range(BOOT_MS // SETTLE_MS):
        page.page.keyboard.press("Enter")
        page.page.wait_for_timeout(SETTLE_MS)
        if ":/root#" in rows.inner_text():
            break
    page.page.keyboard.type("uname -a; uptime\n")


def take(daemon: TestDaemon, scheme: str) -> None:
    """All screens of one scheme."""
    with visit(daemon, scheme=scheme) as page:
        page.log_in()
        for name, place, own in SCREENS:
            if own == scheme:
                page.go(place)
                if name == "console":
                    type_into(page)
                keep(page, name)
        if scheme == "light":
            page.go("#/qemu/100/hardware")
            page.page.get_by_role("button", name="Change Cores").click()
            page.page.get_by_role("form").get_by_label("Cores").fill("4")
            page.page.get_by_label("What will happen").wait_for()
            keep(page, "hardware")
            page.page.keyboard.press("Control+k")
            page.page.keyboard.type("db")
            keep(page, "palette")


def main() -> int:
    TARGET.mkdir(parents=True, exist_ok=True)
    with test_daemon() as daemon:
        furnish(daemon)
        take(daemon, "light")
        take(daemon, "dark")
        with visit(daemon, width=360, height=740) as page:
            page.log_in()
            page.go("#/qemu/100")
            keep(page, "phone")
    for path in sorted(TARGET.glob("*.webp")):
        print(f"{path.stat().st_size / 1024:6.1f} KiB  {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
