"""Notifications: what happened, where it is told, and who is told what.

The keys are those of Proxmox's `notifications.cfg`. Source: proxmox-notify of Proxmox VE 9.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tarmac.model.calendar import DailyDuration
from tarmac.model.formats import FORMATS
from tarmac.model.settings import setting

SEVERITIES = ("info", "notice", "warning", "error", "unknown")
MAX_TEXT = 64 * 1024
_FIELD = re.compile(r"(exact|regex):([a-zA-Z0-9_-]+)=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What happened. `fields` are for matchers and templates: `type` says what kind of thing it is, `hostname` where,
    and what else belongs to it (`vmid`, `storage`). `timestamp`: seconds since 1970."""

    severity: str
    title: str
    text: str
    timestamp: int
    fields: Mapping[str, str] = field(default_factory=dict)


def _check_mail(text: str) -> None:
    if not re.fullmatch(r"[^\s<>@,;\x00-\x1f]+(@[^\s<>@,;\x00-\x1f]+)?", text) or text.startswith("-"):
        raise ValueError("value does not look like a valid email address or user name")


FORMATS["email-or-username"] = _check_mail


@dataclass(frozen=True, kw_only=True)
class TargetOptions:
    """What every target has."""

    comment: str | None = setting(None, max_length=4096, help="For people.")
    disable: bool = setting(False, help="Nothing is sent.")


@dataclass(frozen=True, kw_only=True)
class MailOptions(TargetOptions):
    """What targets that send mail have."""

    author: str | None = setting(None, max_length=256, help="The sender's name in the mail.")
    mailto: tuple[str, ...] = setting((), array=True, format="email-or-username", help="Addresses it goes to.")
    mailto_user: tuple[str, ...] = setting(
        (), name="mailto-user", array=True, format="pve-userid", help="Users whose address it goes to."
    )


@dataclass(frozen=True, kw_only=True)
class SendmailTarget(MailOptions):
    """Mail by the host's own `sendmail`."""

    from_address: str | None = setting(
        None, name="from-address", format="email-or-username", help="The sender's address (default: root@<host>)."
    )


@dataclass(frozen=True, kw_only=True)
class SmtpOptions(MailOptions):
    """Mail by a server."""

    mode: str = setting("tls", choices=("insecure", "starttls", "tls"), help="How the connection is protected.")
    port: int | None = setting(None, ge=1, le=65535, default_text="465, 587 or 25, by the mode", help="Its port.")
    username: str | None = setting(None, max_length=256, help="Who logs in.")
    password: str | None = setting(None, max_length=1024, secret=True, help="The password.")
    server: str | None = setting(None, format="address", help="The mail server.")
    from_address: str | None = setting(
        None, name="from-address", format="email-or-username", help="The sender's address."
    )


@dataclass(frozen=True, kw_only=True)
class SmtpTarget(SmtpOptions):
    server: str = setting(format="address", help="The mail server.")
    from_address: str = setting(name="from-address", format="email-or-username", help="The sender's address.")


@dataclass(frozen=True, kw_only=True)
class WebOptions(TargetOptions):
    """What targets that are reached by HTTP have."""

    allowed_hosts: tuple[str, ...] = setting(
        (),
        name="allowed-hosts",
        array=True,
        format="address",
        help="Hosts of the own network or machine that may be asked; needs Sys.Modify on `/`. (Not of Proxmox.)",
    )


@dataclass(frozen=True, kw_only=True)
class GotifyOptions(WebOptions):
    """A Gotify server."""

    server: str | None = setting(None, max_length=1024, help="Its address: `https://gotify.example.com`.")
    token: str | None = setting(None, max_length=1024, secret=True, help="The application's token.")


@dataclass(frozen=True, kw_only=True)
class GotifyTarget(GotifyOptions):
    server: str = setting(max_length=1024, help="Its address: `https://gotify.example.com`.")
    token: str = setting(max_length=1024, secret=True, help="The application's token.")


@dataclass(frozen=True, kw_only=True)
class WebhookOptions(WebOptions):
    """An HTTP request. `{{ title }}`, `{{ message }}`, `{{ severity }}`, `{{ timestamp }}`, `{{ fields.NAME }}` and
    `{{ secrets.NAME }}` stand for what they say in address, headers and body; `{{ json X }}`, `{{ url-encode X }}` and
    `{{ escape X }}` (JSON without the quotes) make it fit."""

    body: str | None = setting(None, max_length=MAX_TEXT, help="The request's body, in Base64.")
    header: tuple[str, ...] = setting((), array=True, help="Headers: `name=NAME,value=BASE64`.")
    secret: tuple[str, ...] = setting((), array=True, secret=True, help="Secrets: `name=NAME,value=BASE64`.")
    method: str | None = setting(None, choices=("get", "post", "put"), help="The method.")
    url: str | None = setting(None, max_length=4096, help="The address.")


@dataclass(frozen=True, kw_only=True)
class WebhookTarget(WebhookOptions):
    method: str = setting(choices=("get", "post", "put"), help="The method.")
    url: str = setting(max_length=4096, help="The address.")


@dataclass(frozen=True, kw_only=True)
class Matcher:
    """Who is told what: the targets get the notifications that the rules fit; without rules, all."""

    comment: str | None = setting(None, max_length=4096, help="For people.")
    disable: bool = setting(False, help="It fits nothing.")
    invert_match: bool = setting(False, name="invert-match", help="It fits what the rules do not.")
    mode: str = setting("all", choices=("all", "any"), help="Whether all rules must fit, or one.")
    match_severity: tuple[str, ...] = setting(
        (), name="match-severity", array=True, help="Severities: `error,warning`; several are several rules."
    )
    match_field: tuple[str, ...] = setting(
        (), name="match-field", array=True, help="A field: `exact:type=vzdump,replication` or `regex:hostname=^n`."
    )
    match_calendar: tuple[str, ...] = setting(
        (), name="match-calendar", array=True, help="When it happened: `8-12`, `mon-fri 9:00-17:00` (the node's time)."
    )
    target: tuple[str, ...] = setting((), array=True, format="pve-configid", help="Targets that are told.")

    def fits(self, notification: Notification) -> bool:
        """Whether its targets are told of it."""
        if self.disable:
            return False
        rules = [notification.severity in text.split(",") for text in self.match_severity]
        rules += [_field_fits(text, notification.fields) for text in self.match_field]
        when = datetime.datetime.fromtimestamp(notification.timestamp)  # local, as people write it
        rules += [DailyDuration.parse(text).contains(when) for text in self.match_calendar]
        fits = not rules or (all(rules) if self.mode == "all" else any(rules))
        return fits is not self.invert_match

    def problems(self) -> dict[str, str]:
        """What is wrong in its rules, by key."""
        found = {}
        for text in self.match_severity:
            if set(text.split(",")) - set(SEVERITIES):
                found["match-severity"] = f"invalid severity in '{text}'; there are {', '.join(SEVERITIES)}"
        for text in self.match_calendar:
            try:
                DailyDuration.parse(text)
            except ValueError as problem:
                found["match-calendar"] = str(problem)
        for text in self.match_field:
            match = _FIELD.fullmatch(text)
            if match is None:
                found["match-field"] = f"'{text}' is not exact:NAME=VALUES or regex:NAME=PATTERN"
            elif match[1] == "regex":
                try:
                    re.compile(match[3])
                except re.error as problem:
                    found["match-field"] = f"invalid regular expression in '{text}': {problem}"
        return found


def _field_fits(text: str, fields: Mapping[str, str]) -> bool:
    match = _FIELD.fullmatch(text)
    value = fields.get(match[2]) if match else None
    if match is None or value is None:
        return False
    return value in match[3].split(",") if match[1] == "exact" else re.search(match[3], value) is not None


def pairs(items: Sequence[str], key: str) -> dict[str, str | None]:
    """`name=NAME,value=BASE64` items as name -> value; None where no value is given. Raises ValueError."""
    found: dict[str, str | None] = {}
    for item in items:
        name, comma, value = item.partition(",")
        if not re.fullmatch(r"name=[A-Za-z0-9_-]{1,64}", name) or (comma and not value.startswith("value=")):
            raise ValueError(f"'{item[:40]}' is not name=NAME,value=BASE64")
        if name[5:] in found:
            raise ValueError(f"{key} '{name[5:]}' stands twice")
        found[name[5:]] = from_base64(value[6:]) if comma else None
    return found


def from_base64(text: str) -> str:
    """Raises ValueError for what is no text in Base64."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError("value is not a text in Base64") from None
