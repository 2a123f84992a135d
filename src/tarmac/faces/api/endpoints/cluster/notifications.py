"""Notifications: targets that send them, matchers that decide who is told what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, OBJECT, Allow, Call, NoParams, delete, get, post, put
from tarmac.faces.api.shapes import notifications as shapes
from tarmac.model import notification as model
from tarmac.model.settings import setting

ON = "/mapping/notifications"
BASE = "/cluster/notifications"
SEE = Allow(ON, "Mapping.Modify", "Mapping.Audit", any=True)
USE = Allow(ON, "Mapping.Modify", "Mapping.Audit", "Mapping.Use", any=True)
AUDIT = Allow(ON, "Mapping.Audit")
CHANGE = Allow(ON, "Mapping.Modify")
NAME = {"format": "pve-configid", "help": "Its name."}


@dataclass(frozen=True, kw_only=True)
class One:
    name: str = setting(**NAME)


@dataclass(frozen=True, kw_only=True)
class Change(One):
    delete: tuple[str, ...] = setting((), array=True, format="pve-configid", help="Keys to remove.")
    digest: str | None = setting(None, max_length=64, help="Only if the definitions still have this digest.")


async def _may_connect(call: Call, p: Any) -> None:
    """Making this host connect somewhere is more than a name in a list; into its own network, more still."""
    access, who = call.services.access, call.identity
    access.check(who, ON, ["Mapping.Modify"])
    if not access.allowed(who, "/", ["Sys.Audit", "Sys.Modify"]):
        access.check(who, "/", ["Sys.AccessNetwork"])
    if "allowed-hosts" in call.config or call.services.notifications.reaches_inside(p.name):
        access.check(who, "/", ["Sys.Modify"])


CONNECT = Allow.by(
    _may_connect,
    f"Mapping.Modify on {ON}, and Sys.AccessNetwork, or Sys.Audit and Sys.Modify, on /; with allowed-hosts Sys.Modify",
)


def _targets(kind: str, declared: type, options: type, words: str) -> tuple[Any, ...]:
    """The five endpoints of one type of target."""
    path = f"{BASE}/endpoints/{kind}"

    # Proxmox shows the lists of these two to auditors alone.
    listed = AUDIT if kind in ("gotify", "webhook") else SEE

    @get(path, allow=listed, returns=LIST, help=f"Targets that send {words}.")
    async def listing(call: Call, p: NoParams) -> Any:
        service = call.services.notifications
        return [{**service.shown(kind, name), "origin": "user-created"} for name in service.targets[kind]]

    @post(path, params=One, config=declared, allow=CONNECT, help=f"A target that sends {words}.")
    async def create(call: Call, p: One) -> None:
        await call.services.notifications.create_target(kind, p.name, call.config)

    @get(f"{path}/{{name}}", params=One, allow=SEE, returns=OBJECT, help="A target, without its secrets.")
    async def one(call: Call, p: One) -> Any:
        service = call.services.notifications
        return {**service.shown(kind, p.name), "digest": service.targets[kind].digest}

    @put(f"{path}/{{name}}", params=Change, config=options, allow=CONNECT, help="Change a target.")
    async def update(call: Call, p: Change) -> None:
        service = call.services.notifications
        await service.update_target(kind, p.name, call.config, delete=p.delete, digest=p.digest)

    @delete(f"{path}/{{name}}", params=One, allow=CHANGE, help="Remove a target that no matcher names.")
    async def remove(call: Call, p: One) -> None:
        await call.services.notifications.delete_target(kind, p.name)

    made = (listing, create, one, update, remove)
    for handler in made:
        handler.__name__ = f"{kind}_{handler.__name__}"
    return made


SMTP = _targets("smtp", model.SmtpTarget, model.SmtpOptions, "mail by a server")
SENDMAIL = _targets("sendmail", model.SendmailTarget, model.SendmailTarget, "mail by the host's sendmail")
WEBHOOK = _targets("webhook", model.WebhookTarget, model.WebhookOptions, "an HTTP request")
GOTIFY = _targets("gotify", model.GotifyTarget, model.GotifyOptions, "to a Gotify server")


@get(
    f"{BASE}/targets",
    reply=list[shapes.TargetRow],
    allow=USE,
    returns=LIST,
    cli="node notification-targets",
    help="All targets.",
)
async def targets(call: Call, p: NoParams) -> Any:
    service = call.services.notifications
    return [
        {"name": name, "type": kind, "origin": "user-created", **_some(service.shown(kind, name))}
        for kind, definitions in service.targets.items()
        for name in definitions
    ]


def _some(shown: Mapping[str, Any]) -> dict[str, Any]:
    return {key: shown[key] for key in ("comment", "disable") if key in shown}


@post(
    f"{BASE}/targets/{{name}}/test",
    params=One,
    allow=USE,
    cli="node notification-test {name}",
    help="Send a test to a target; fails as sending does.",
)
async def test(call: Call, p: One) -> None:
    await call.services.notifications.test(p.name)


@get(f"{BASE}/matchers", reply=list[shapes.MatcherRow], allow=USE, returns=LIST, help="Who is told what.")
async def matchers(call: Call, p: NoParams) -> Any:
    found = call.services.notifications.matchers
    return [{"name": name, **found.shown(name), "origin": "user-created"} for name in found]


@post(f"{BASE}/matchers", params=One, config=model.Matcher, allow=CHANGE, help="Tell targets of something.")
async def create_matcher(call: Call, p: One) -> None:
    await call.services.notifications.matchers.create(p.name, call.config)


@get(f"{BASE}/matchers/{{name}}", params=One, allow=SEE, returns=OBJECT, help="A matcher.")
async def matcher(call: Call, p: One) -> Any:
    found = call.services.notifications.matchers
    return {"name": p.name, **found.shown(p.name), "digest": found.digest}


@put(f"{BASE}/matchers/{{name}}", params=Change, config=model.Matcher, allow=CHANGE, help="Change a matcher.")
async def update_matcher(call: Call, p: Change) -> None:
    await call.services.notifications.matchers.update(p.name, call.config, delete=p.delete, digest=p.digest)


@delete(f"{BASE}/matchers/{{name}}", params=One, allow=CHANGE, help="Remove a matcher.")
async def remove_matcher(call: Call, p: One) -> None:
    await call.services.notifications.matchers.delete(p.name)


@get(f"{BASE}/matcher-fields", allow=SEE, returns=LIST, help="Fields that notifications have.")
async def fields(call: Call, p: NoParams) -> list[dict[str, str]]:
    return [{"name": name} for name in ("type", "hostname", "task-type", "vmid", "storage", "user")]


@get(f"{BASE}/matcher-field-values", allow=SEE, returns=LIST, help="Values that fields are known to have.")
async def field_values(call: Call, p: NoParams) -> list[dict[str, str]]:
    node = [{"field": "hostname", "value": call.services.node}]
    return [*node, {"field": "type", "value": "task-failed", "comment": "a task that failed"}]
