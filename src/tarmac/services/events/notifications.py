"""Telling people: `notify` says what happened, matchers decide which targets hear of it, targets send it.

`notify` returns at once, whatever the targets do. A target that cannot be reached is tried again a few times; then the
notification is lost, which the log says. Targets hurt nobody else, and what waits for one is limited.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tarmac.drivers.notify.mail import send_sendmail, send_smtp
from tarmac.drivers.notify.web import send_gotify, send_webhook
from tarmac.drivers.store.base import Store
from tarmac.lib.tasks import Supervisor
from tarmac.model.errors import Bug, Conflict, InvalidInput, NotFound, TarmacError
from tarmac.model.job import QUIET_KINDS, JobRecord, JobState
from tarmac.model.notification import (
    MAX_TEXT,
    SEVERITIES,
    GotifyTarget,
    MailOptions,
    Matcher,
    Notification,
    SendmailTarget,
    SmtpTarget,
    WebhookTarget,
    from_base64,
    pairs,
)
from tarmac.model.parse import parameter_error
from tarmac.services.access.directory import Directory
from tarmac.services.definitions import Definitions

log = logging.getLogger(__name__)
AGAIN_SECONDS = (5.0, 60.0)
MOST_WAITING = 50
TARGETS: Mapping[str, type] = {
    "sendmail": SendmailTarget,
    "gotify": GotifyTarget,
    "smtp": SmtpTarget,
    "webhook": WebhookTarget,
}


class Notifications:
    """See the module. `targets` by type, and `matchers`, are what is configured; `sender`: the sender's address of
    targets that name none."""

    def __init__(
        self,
        *,
        store: Store,
        directory: Directory,
        supervisor: Supervisor,
        node: str,
        again: Sequence[float] = AGAIN_SECONDS,
        sender: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._sender = sender
        self._directory = directory
        self._supervisor = supervisor
        self._node = node
        self._again = again
        self._waiting: Counter[str] = Counter()
        self.targets: dict[str, Definitions[Any]] = {
            kind: Definitions(
                store=store, kind=f"notifications/{kind}", noun="endpoint", declared=declared, check=_check_target
            )
            for kind, declared in TARGETS.items()
        }
        self.matchers: Definitions[Matcher] = Definitions(
            store=store, kind="notifications/matcher", noun="matcher", declared=Matcher, check=self._check_matcher
        )

    async def load(self) -> None:
        """Read what is configured; called once, before anything else."""
        for definitions in self.targets.values():
            await definitions.load()
        await self.matchers.load()

    # -- telling ------------------------------------------------------------------------------------------------

    def notify(self, severity: str, title: str, text: str, fields: Mapping[str, str] | None = None) -> None:
        """Tell everybody whom a matcher names. `severity` is one of `SEVERITIES`; `fields` should have a `type`."""
        if severity not in SEVERITIES:
            raise Bug(f"'{severity}' is no severity", cause="a notification has a severity that does not exist")
        notification = Notification(
            severity=severity,
            title=title,
            text=text[:MAX_TEXT],
            timestamp=int(time.time()),
            fields={"hostname": self._node, **(fields or {})},
        )
        matchers = [self.matchers.get(name) for name in self.matchers]
        wanted = {target for matcher in matchers if matcher.fits(notification) for target in matcher.target}
        for name in sorted(wanted):
            self._begin(name, notification)

    def task_ended(self, record: JobRecord) -> None:
        """A job has ended: one that failed is told."""
        if record.state is not JobState.FAILED or record.kind in QUIET_KINDS:
            return
        error = record.error or {}
        lines = [f"Task {record.kind} {record.id} of {record.user} failed: {record.exitstatus}"]
        lines += [f"{word}: {error[word]}" for word in ("cause", "evidence") if error.get(word)]
        lines += [f"what helps: {fix['text']}" for fix in error.get("fixes", ())]
        fields = {"type": "task-failed", "task-type": record.kind, "user": record.user}
        if record.id.isdecimal():
            fields["vmid"] = record.id
        text = "\n".join([*lines, "", record.upid])
        self.notify("error", f"{self._node}: {record.kind} {record.id} failed", text, fields)

    async def test(self, name: str) -> None:
        """Send a test to a target now. Raises what sending raises, NotFound."""
        text = "This is a test: notifications of this target arrive."
        fields = {"type": "test", "hostname": self._node}
        now = int(time.time())
        await self._send(name, Notification(severity="info", title="Test", text=text, timestamp=now, fields=fields))

    def _begin(self, name: str, notification: Notification) -> None:
        if self._waiting[name] >= MOST_WAITING:
            log.error("a notification is lost: too many wait for its target", extra={"target": name})
            return
        self._waiting[name] += 1
        self._supervisor.start(self._deliver(name, notification), name=f"notification to {name}")

    async def _deliver(self, name: str, notification: Notification) -> None:
        try:
            for seconds in (*self._again, None):
                try:
                    await self._send(name, notification)
                    return
                except TarmacError as problem:
                    told = {"target": name, "title": notification.title, "problem": problem.as_record()}
                    if seconds is None or isinstance(problem, (NotFound, InvalidInput)):
                        log.error("a notification is lost", extra=told)
                        return
                    log.warning("a notification could not be sent yet", extra=told)
                await asyncio.sleep(seconds)
        finally:
            self._waiting[name] -= 1

    async def _send(self, name: str, notification: Notification) -> None:
        kind = self.kind_of(name)
        target = self.targets[kind].get(name)
        if target.disable:
            return
        if isinstance(target, SmtpTarget):
            await send_smtp(target, notification, self._addresses(target))
        elif isinstance(target, SendmailTarget):
            await send_sendmail(self._from(target), notification, self._addresses(target))
        elif isinstance(target, GotifyTarget):
            await send_gotify(target, notification)
        else:
            await send_webhook(target, notification)

    def _from(self, target: SendmailTarget) -> SendmailTarget:
        """The target with the datacenter's sender where it names none itself."""
        if target.from_address is None and (sender := self._sender()):
            return dataclasses.replace(target, from_address=sender)
        return target

    def _addresses(self, target: MailOptions) -> list[str]:
        users = [self._directory.users.get(userid) for userid in target.mailto_user]
        return [*target.mailto, *(user.email for user in users if user is not None and user.email)]

    # -- what is configured -------------------------------------------------------------------------------------

    def kind_of(self, name: str) -> str:
        """A target's type. Raises NotFound."""
        for kind, definitions in self.targets.items():
            if name in definitions:
                return kind
        raise NotFound(f"target '{name}' does not exist", code="no-such-target")

    def reaches_inside(self, name: str) -> bool:
        """Whether a target may ask hosts of the own network."""
        return any(name in d and getattr(d.get(name), "allowed_hosts", ()) for d in self.targets.values())

    def shown(self, kind: str, name: str) -> dict[str, Any]:
        """A target as a reply shows it; of a webhook's secrets the names."""
        found = self.targets[kind].shown(name)
        if kind == "webhook" and (secrets := self.targets[kind].get(name).secret):
            found["secret"] = [f"name={name}" for name in pairs(secrets, "secret")]
        return {"name": name, **found}

    async def create_target(self, kind: str, name: str, texts: Mapping[str, str]) -> None:
        """Raises Conflict for a name that any target has, InvalidInput."""
        if any(name in definitions for definitions in self.targets.values()):
            raise Conflict(f"endpoint '{name}' already exists", code="already-exists")
        await self.targets[kind].create(name, texts)

    async def update_target(
        self, kind: str, name: str, texts: Mapping[str, str], *, delete: Sequence[str] = (), digest: str | None = None
    ) -> None:
        """As `Definitions.update`; a webhook's secret without a value keeps the one it has."""
        texts = dict(texts)
        if kind == "webhook" and "secret" in texts and name in self.targets[kind]:
            known = {item.partition(",")[0]: item for item in self.targets[kind].get(name).secret}
            items = texts["secret"].split("\0")
            texts["secret"] = "\0".join(item if "," in item else known.get(item, item) for item in items)
        await self.targets[kind].update(name, texts, delete=delete, digest=digest)

    async def delete_target(self, kind: str, name: str) -> None:
        """Raises Conflict while a matcher names it, NotFound."""
        users = [matcher for matcher in self.matchers if name in self.matchers.get(matcher).target]
        if users:
            raise Conflict(
                f"cannot delete '{name}', referenced by: {', '.join(users)}",
                code="target-in-use",
                cause="matchers name it",
                evidence=", ".join(users),
            )
        await self.targets[kind].delete(name)

    def _check_matcher(self, matcher: Matcher) -> None:
        problems = matcher.problems()
        known = {name for definitions in self.targets.values() for name in definitions}
        if missing := [name for name in matcher.target if name not in known]:
            problems["target"] = f"could not find: {', '.join(missing)}"
        if problems:
            raise parameter_error(problems)


def _check_target(target: Any) -> None:
    """Raises InvalidInput for what no sender could use."""
    problems: dict[str, str] = {}
    if isinstance(target, MailOptions) and not (target.mailto or target.mailto_user):
        problems["mailto"] = "must at least provide one recipient, either in mailto or in mailto-user"
    if isinstance(target, WebhookTarget):
        for key, items in (("header", target.header), ("secret", target.secret)):
            try:
                if any(value is None for value in pairs(items, key).values()):
                    problems[key] = "a value is missing"
            except ValueError as problem:
                problems[key] = str(problem)
        try:
            from_base64(target.body or "")
        except ValueError as problem:
            problems["body"] = str(problem)
    address = getattr(target, "url", None) or (target.server if isinstance(target, GotifyTarget) else None)
    if address is not None and not address.startswith(("http://", "https://")):
        problems["url" if hasattr(target, "url") else "server"] = "value is not an http or https URL"
    if problems:
        raise parameter_error(problems)
