"""The web page with 10,000 guests and 100 changes a second, in Chromium: loads, interactions, memory, bytes.

    .venv/bin/python benchmarks/page.py [--parts loads,interactions] [--guests 10000] [--changes 100] [--soak MINUTES]
        [--figures all]

The daemon is a real one; what its guests do is made up (`tests/support/changing`). `--slow 4` slows the browser's
processor four times, as the targets want it; loads are measured with and without, and over a line of 20 Mbit/s and
20 ms (`tests/support/slow_line`). The soak is unslowed; `--figures all` sorts its list by a figure, for which
those of all guests are asked. Processor is what the page's own thread used, whatever else the
machine does. Figures of other consoles stand in `benchmarks/README.md`: they cannot be run here.
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
from support.daemon import TestDaemon
from support.page_watch import PageWatch
from support.slow_line import slow_line

BUILT = Path(__file__).resolve().parents[1] / "src/tarmac/faces/page"
VIEWS = ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp", "ArrowUp")  # server, folder, pool, tag, and back
PARTS = ("sizes", "quiet", "loads", "interactions", "work", "soak")
_READY = """guests => document.querySelectorAll('.list [role=row]').length > 10 &&
  document.querySelector('.list .hint').textContent.startsWith(guests) && performance.now()"""


def load(page: Visit, watch: PageWatch, *, guests: int, cold: bool, slow: float, times: int) -> list[float]:
    """Milliseconds from the address to a list that can be used: all guests are in it, the first of them shown."""
    took = []
    watch.session.send("Emulation.setCPUThrottlingRate", {"rate": slow})
    for _ in range(times):
        if cold:
            watch.session.send("Network.clearBrowserCache")
        page.page.reload(wait_until="commit")
        took.append(float(page.page.wait_for_function(_READY, arg=f"{guests:,}", polling=10).json_value()))
        page.page.wait_for_timeout(500)
    watch.session.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    return took


def loads(daemon: TestDaemon, guests: int, slow: float) -> list[Row]:
    found = []
    with slow_line(daemon.port) as port:
        for where, at in (("loopback", daemon.port), ("20 Mbit/s and 20 ms", port)):
            with visit(daemon) as page:
                page.address = f"https://127.0.0.1:{at}/"
                watch = _entered(page, guests)
                for cold in (True, False):
                    for rate in (1, slow):
                        how = f"{'cold' if cold else 'warm'} load, {where}"
                        how += "" if rate == 1 else f", processor /{rate:g}"
                        found.append(Row(how, "ms", load(page, watch, guests=guests, cold=cold, slow=rate, times=5)))
                _told(page)
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
    screen.locator(".tree").get_by_label("View").focus()
    for key in VIEWS:
        screen.evaluate(
            """() => { const tree = document.querySelector('.tree .rows'), begun = {at: 0};
            const head = () => tree.querySelector('.tree-line').textContent, before = head();
            addEventListener('keydown', () => { begun.at = performance.now() }, {once: true, capture: true});
            window.__changed = new Promise(done => new MutationObserver((_, me) => {
              if (head() === before) return; me.disconnect();
              requestAnimationFrame(() => done(performance.now() - begun.at))
            }).observe(tree, {subtree: true, childList: true, characterData: true}));
            }"""
        )
        screen.keyboard.press(key)
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


def sort_by_figure(page: Visit) -> None:
    """From now on the figures of all guests are asked for, not only of those in sight."""
    page.go("#/")
    page.page.locator(".table-head").get_by_role("button", name=re.compile("^CPU")).click()
    page.page.wait_for_timeout(2000)


def idle(page: Visit, watch: PageWatch, minutes: float, what: str) -> list[Row]:
    """A tab that nobody touches: processor, bytes, and memory minute by minute, beside that after the first."""
    busy, begun, memory = watch.metric("TaskDuration"), time.monotonic(), []
    with counted(watch) as got:
        while (gone := time.monotonic() - begun) < minutes * 60:
            page.page.wait_for_timeout(1000)
            if gone / 60 > len(memory) + 1:
                memory.append(watch.heap() / 2**20)
                print(f"minute {len(memory)}: {memory[-1]:.2f} MiB, {watch.metric('Nodes'):.0f} nodes", file=sys.stderr)
    gone = time.monotonic() - begun
    memory.append(watch.heap() / 2**20)
    return [
        Row(f"{what}: processor", "% of a core", [(watch.metric("TaskDuration") - busy) / gone * 100]),
        Row(f"{what}: received", "KiB a minute", [got[0] / 1024 / gone * 60]),
        Row(f"{what}: memory after {minutes:g} minutes", "MiB", memory[-1:], "after the first", memory[:1]),
        Row(f"{what}: memory, minute by minute", "MiB", memory),
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


def work(page: Visit, watch: PageWatch) -> list[Row]:
    """What the interactions cost the page's thread, whatever else the machine does; unslowed."""
    with watch.worked() as tasks:
        interact(page, watch)
    return [
        Row("interactions: longest task of the page's thread, its own time", "ms", [max(tasks)]),
        Row("the same: how many took more than 8 ms", "", [float(sum(took > 8 for took in tasks))]),
        Row("the same: all together", "ms", [sum(tasks)]),
    ]


def interactions(page: Visit, watch: PageWatch, slow: float) -> list[Row]:
    watch.session.send("Emulation.setCPUThrottlingRate", {"rate": slow})
    page.page.evaluate("__events.length = 0")
    interact(page, watch)
    seen, slowed = watch.interactions(), f"processor /{slow:g}"
    print("longest (waited + worked + until painted):", *watch.longest(), sep="\n  ", file=sys.stderr)
    found = [
        Row(f"interactions (n={len(seen)}), p98, {slowed}", "ms", [percentile(seen, 0.98)]),
        Row("the same, median", "ms", [percentile(seen, 0.5)]),
        Row(f"key in the filter to results, {slowed}", "ms", keys(page)),
        Row(f"another view of the tree, {slowed}", "ms", switches(page)),
    ]
    watch.session.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    return found


def _entered(page: Visit, guests: int) -> PageWatch:
    """All is there, and what the browser fetches afterwards, too."""
    watch = PageWatch.begin(page.page)
    page.log_in()
    page.page.wait_for_function(_READY, arg=f"{guests:,}")
    page.page.wait_for_load_state("networkidle")
    page.page.wait_for_timeout(2000)
    return watch


def _told(page: Visit) -> None:
    for said in page.complaints:  # loads that were cut off by the next one
        print(f"said in the console: {said}", file=sys.stderr)
    page.complaints.clear()


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    options.add_argument("--guests", type=int, default=10_000)
    options.add_argument("--changes", type=float, default=100)
    options.add_argument("--soak", type=float, default=30, help="minutes")
    options.add_argument("--figures", choices=("sight", "all"), default="sight", help="whose figures the soak asks for")
    options.add_argument("--slow", type=float, default=4, help="how many times slower the browser's processor is")
    chosen = options.parse_args()
    parts = chosen.parts.split(",")
    rows = sizes() if "sizes" in parts else []
    if "quiet" in parts:
        with crowd(chosen.guests) as daemon, visit(daemon) as page:
            rows += idle(page, _entered(page, chosen.guests), 1, "idle tab, nothing changes")
    if {"loads", "interactions", "work", "soak"} & set(parts):
        with crowd(chosen.guests, changes=chosen.changes) as daemon:
            if "loads" in parts:
                rows += loads(daemon, chosen.guests, chosen.slow)
            with visit(daemon) as page:
                watch = _entered(page, chosen.guests)
                if "interactions" in parts:
                    rows += interactions(page, watch, chosen.slow)
                if "work" in parts:
                    rows += work(page, watch)
                if "soak" in parts:
                    if chosen.figures == "all":
                        sort_by_figure(page)
                    what = f"idle tab, {chosen.changes:g} changes a second, figures of {chosen.figures}"
                    rows += idle(page, watch, chosen.soak, what)
                _told(page)
    report("page", rows)


if __name__ == "__main__":
    main()
