"""What a page costs its browser, told by the browser itself: long tasks, interactions, memory, bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import CDPSession, Page

_WATCH = """
window.__long = []; window.__events = []; window.__frames = [];
const where = e => e.target ? [e.target.tagName, e.target.getAttribute?.('aria-label') ?? e.target.textContent.slice(0, 20)].join(' ') : '';
new PerformanceObserver(list => list.getEntries().forEach(e => __long.push(e.duration))).observe({type: 'longtask', buffered: true});
new PerformanceObserver(list => list.getEntries().forEach(e => e.interactionId &&
  __events.push([e.name, e.duration, e.processingStart - e.startTime, e.processingEnd - e.processingStart, where(e)])))
  .observe({type: 'event', durationThreshold: 16, buffered: true});
new PerformanceObserver(list => list.getEntries().forEach(e => __frames.push([e.startTime, e.duration, e.styleAndLayoutStart - e.startTime,
  e.scripts.map(s => [s.invoker, s.sourceFunctionName, s.duration, s.forcedStyleAndLayoutDuration])])))
  .observe({type: 'long-animation-frame', buffered: true});
new PerformanceObserver(list => list.getEntries().forEach(e => window.__largest = e.startTime))
  .observe({type: 'largest-contentful-paint', buffered: true});
"""  # noqa: E501


@dataclass
class PageWatch:
    """Begun before the page is loaded; asked at any time."""

    page: Page
    session: CDPSession

    @classmethod
    def begin(cls, page: Page) -> PageWatch:
        page.context.add_init_script(_WATCH)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})  # whatever others use
        session.send("Network.enable")
        return cls(page, session)

    def longest_task(self) -> float:
        """Milliseconds of the longest task of the page's thread."""
        return float(self.page.evaluate("Math.max(0, ...__long)"))

    def interactions(self) -> list[float]:
        """Milliseconds from each input that took 16 or more until what it changed was painted."""
        return [float(entry[1]) for entry in self.page.evaluate("__events")]

    def longest(self, count: int = 12) -> list[str]:
        """The longest of them in words: how long each waited for the thread, was worked on, waited to be painted."""
        found = sorted(self.page.evaluate("__events"), key=lambda entry: -entry[1])[:count]
        return [
            f"{took:.0f} ms = {waited:.0f} + {worked:.0f} + {took - waited - worked:.0f}: {name} {target}"
            for name, took, waited, worked, target in found
        ]

    def heap(self) -> float:
        """Bytes of live objects."""
        self.session.send("HeapProfiler.collectGarbage")
        return self.metric("JSHeapUsedSize")

    def metric(self, name: str) -> float:
        """One of DevTools' own: `JSHeapUsedSize`, `Nodes`, `TaskDuration` (seconds of the page's thread)."""
        found: list[dict[str, Any]] = self.session.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in found if one["name"] == name))

    @contextmanager
    def worked(self) -> Iterator[list[float]]:
        """Milliseconds of the page's thread for each of its tasks meanwhile, its own time alone: a machine that others
        use makes them no longer. Known at the end."""
        browser = self.page.context.browser
        assert browser is not None
        session = browser.new_browser_cdp_session()
        events: list[dict[str, Any]] = []
        over: list[object] = []
        found: list[float] = []
        session.on("Tracing.dataCollected", lambda message: events.extend(message["value"]))
        session.on("Tracing.tracingComplete", lambda message: over.append(message))
        chosen = {"includedCategories": ["toplevel", "devtools.timeline"], "excludedCategories": ["*"]}
        session.send("Tracing.start", {"transferMode": "ReportEvents", "traceConfig": chosen})
        yield found
        session.send("Tracing.end")
        while not over:
            self.page.wait_for_timeout(50)
        session.detach()
        threads = Counter((one["pid"], one["tid"]) for one in events if one["name"] == "EventDispatch")
        [(thread, _)] = threads.most_common(1)
        found += [
            one["tdur"] / 1000
            for one in events
            if one["name"] == "ThreadControllerImpl::RunTask" and (one["pid"], one["tid"]) == thread and "tdur" in one
        ]
