"""The web page with 10,000 guests and 100 changes a second, in Chromium: loads, interactions, memory, bytes.

    .venv/bin/python benchmarks/page.py [--guests 10000] [--changes 100] [--soak MINUTES] [--slow 4]

The daemon is a real one; what its guests do is made up (`tests/support/changing`). `--slow 4` slows the browser's
processor four times, as the targets want it; loads are measured with and without, and over a line of 20 Mbit/s and
20 ms. The soak is unslowed. Figures of other consoles stand in `benchmarks/README.md`: they cannot be run here.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common import Row, percentile, report

from support.browser import Visit, visit
from support.crowd import crowd
from support.page_watch import PageWatch

BUILT = Path(__file__).resolve().parents[1] / "src/tarmac/faces/page"
VIEWS = ("Tag view", "Folder view", "Server view", "Pool view", "Server view")
LINE = {"offline": False, "latency": 20, "downloadThroughput": 2_500_000, "uploadThroughput": 2_500_000}
FREE = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
_READY = "n => document.querySelectorAll('.list [role=row]').length > 10 && performance.now()"


def load(page: Visit, watch: PageWatch, *, cold: bool, line: bool, slow: float, times: int) -> list[float]:
    """Milliseconds from the address to a list that can be used."""
    took = []
    watch.session.send("Network.emulateNetworkConditions", LINE if line else FREE)
    watch.session.send("Emulation.setCPUThrottlingRate", {"rate": slow})
    for _ in range(times):
        if cold:
            watch.session.send("Network.clearBrowserCache")
        page.page.reload(wait_until="commit")
        took.append(float(page.page.wait_for_function(_READY, polling=10).json_value()))
        page.page.wait_for_timeout(500)
    watch.session.send("Network.emulateNetworkConditions", FREE)
    watch.session.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    return took


def loads(page: Visit, watch: PageWatch, slow: float) -> list[Row]:
    found = []
    for line in (False, True):
        where = "20 Mbit/s and 20 ms" if line else "loopback"
        for cold in (True, False):
            for rate in (1, slow):
                how = (
                    f"{'cold' if cold else 'warm'} load, {where}, processor {'as it is' if rate == 1 else f'/{rate:g}'}"
                )
                found.append(Row(how, "ms", load(page, watch, cold=cold, line=line, slow=rate, times=3)))
    return found


def interact(page: Visit, watch: PageWatch) -> None:
    """What people do: filter, choose, sort, find, look at guests, go through the tree."""
    screen = page.page
    screen.get_by_label("Filter").click()
    for words in ("web 12", "tag:group-9", "status:running db"):
        screen.keyboard.type(words, delay=60)
        screen.wait_for_timeout(200)
        screen.get_by_label("Filter").fill("")
    grid = screen.get_by_role("grid")
    for number in range(8):
        grid.get_by_role("row").nth(number).click(position={"x": 50, "y": 8})
    for column in ("Name", "CPU", "Number"):
        screen.locator(".table-head").get_by_role("button", name=re.compile(f"^{column}")).click()
        screen.wait_for_timeout(200)
    screen.keyboard.press("Control+k")
    screen.keyboard.type("cache-15", delay=60)
    screen.keyboard.press("Enter")
    screen.wait_for_timeout(400)
    for tab in ("Hardware", "Options", "Tasks", "Summary"):
        screen.get_by_role("tab", name=tab).click()
        screen.wait_for_timeout(300)
    tree = screen.get_by_role("tree")
    for _ in range(10):
        tree.press("ArrowDown")
        screen.wait_for_timeout(60)
    page.go("#/")
    screen.wait_for_timeout(300)


def keys(page: Visit) -> list[float]:
    """Milliseconds from a key in the filter until the list has other rows."""
    screen = page.page
    took = []
    screen.get_by_label("Filter").click()
    for key in "web-3 prod":
        screen.evaluate(
            """() => { const box = document.querySelector('.list .hint'), begun = {at: 0};
            addEventListener('keydown', () => { begun.at = performance.now() }, {once: true, capture: true});
            window.__changed = new Promise(done => new MutationObserver((_, me) => { me.disconnect();
              requestAnimationFrame(() => done(performance.now() - begun.at)) }).observe(box, {subtree: true, characterData: true, childList: true}));
            }"""  # noqa: E501
        )
        screen.keyboard.press("Space" if key == " " else key)
        took.append(
            float(screen.evaluate("Promise.race([window.__changed, new Promise(r => setTimeout(r, 400, -1))])"))
        )
        screen.wait_for_timeout(100)
    screen.get_by_label("Filter").fill("")
    return [one for one in took if one >= 0]  # a key that changes no count says nothing


def switches(page: Visit) -> list[float]:
    """Milliseconds from choosing another view of the tree until it stands there."""
    screen = page.page
    took = []
    for view in VIEWS:
        screen.locator(".tree").get_by_label("View").click()
        option = screen.get_by_role("option", name=view)
        option.wait_for()
        screen.evaluate(
            """() => { const tree = document.querySelector('.tree .rows'), begun = {at: 0};
            addEventListener('pointerdown', () => { begun.at = performance.now() }, {once: true, capture: true});
            window.__changed = new Promise(done => new MutationObserver((list, me) => {
              if (!begun.at || !list.some(m => m.addedNodes.length)) return; me.disconnect();
              requestAnimationFrame(() => done(performance.now() - begun.at)) }).observe(tree, {subtree: true, childList: true}));
            }"""  # noqa: E501
        )
        option.click()
        took.append(float(screen.evaluate("window.__changed")))
        screen.wait_for_timeout(300)
    return took


@contextmanager
def counted(watch: PageWatch) -> Iterator[list[int]]:
    """Bytes that come in meanwhile, over the stream and otherwise."""
    bytes_ = [0]

    def frame(message: dict) -> None:  # type: ignore[type-arg]
        bytes_[0] += len(message["response"]["payloadData"])

    def data(message: dict) -> None:  # type: ignore[type-arg]
        bytes_[0] += int(message["encodedDataLength"])

    watch.session.on("Network.webSocketFrameReceived", frame)
    watch.session.on("Network.dataReceived", data)
    yield bytes_
    watch.session.remove_listener("Network.webSocketFrameReceived", frame)
    watch.session.remove_listener("Network.dataReceived", data)


def idle(page: Visit, watch: PageWatch, minutes: float, what: str) -> list[Row]:
    """A tab that nobody touches: processor, bytes, memory at the end beside that at the beginning."""
    before, busy, begun = watch.heap(), watch.metric("TaskDuration"), time.monotonic()
    with counted(watch) as got:
        while time.monotonic() - begun < minutes * 60:
            page.page.wait_for_timeout(1000)
    gone = time.monotonic() - begun
    after = watch.heap()
    return [
        Row(f"{what}: processor", "% of a core", [(watch.metric("TaskDuration") - busy) / gone * 100]),
        Row(f"{what}: received", "KiB a minute", [got[0] / 1024 / gone * 60]),
        Row(f"{what}: memory after {minutes:g} minutes", "MiB", [after / 2**20], "at the beginning", [before / 2**20]),
    ]


def _packed(path: Path) -> int:
    """Bytes as they are sent; small files are not compressed."""
    packed = path.with_name(f"{path.name}.gz")
    return (packed if packed.exists() else path).stat().st_size


def sizes() -> list[Row]:
    packed = list(BUILT.rglob("*.gz"))
    first = re.findall(r"assets/[\w.-]+", (BUILT / "index.html").read_text())
    shell = sum(_packed(BUILT / name) for name in first)
    return [
        Row("shell, code and styles, gzip", "KiB", [shell / 1024]),
        Row("everything, gzip", "KiB", [sum(path.stat().st_size for path in packed) / 1024]),
    ]


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--guests", type=int, default=10_000)
    options.add_argument("--changes", type=float, default=100)
    options.add_argument("--soak", type=float, default=30, help="minutes")
    options.add_argument("--slow", type=float, default=4, help="how many times slower the browser's processor is")
    chosen = options.parse_args()
    rows = sizes()
    with crowd(chosen.guests) as daemon, visit(daemon) as page:
        watch = PageWatch.begin(page.page)
        page.log_in()
        page.page.wait_for_timeout(5000)
        rows += idle(page, watch, 1, "idle tab, nothing changes")
    with crowd(chosen.guests, changes=chosen.changes) as daemon, visit(daemon) as page:
        watch = PageWatch.begin(page.page)
        page.log_in()
        page.page.wait_for_timeout(3000)
        rows += loads(page, watch, chosen.slow)
        watch.session.send("Emulation.setCPUThrottlingRate", {"rate": chosen.slow})
        page.page.evaluate("__events.length = 0")
        interact(page, watch)
        seen = watch.interactions()
        rows.append(
            Row(f"interactions (n={len(seen)}), p98, processor /{chosen.slow:g}", "ms", [percentile(seen, 0.98)])
        )
        rows.append(Row("the same, median", "ms", [percentile(seen, 0.5)]))
        rows.append(Row(f"key in the filter to results, processor /{chosen.slow:g}", "ms", keys(page)))
        rows.append(Row(f"another view of the tree, processor /{chosen.slow:g}", "ms", switches(page)))
        watch.session.send("Emulation.setCPUThrottlingRate", {"rate": 1})
        what = f"idle tab, {chosen.changes:g} changes a second"
        rows += idle(page, watch, chosen.soak, what)
        report("page", rows)
        for said in page.complaints:  # loads that were cut off by the next one
            print(f"said in the console: {said}", file=sys.stderr)
        page.complaints.clear()


if __name__ == "__main__":
    main()
