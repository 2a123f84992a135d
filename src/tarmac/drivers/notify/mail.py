"""Notifications as mail: through a server (SMTP), or the host's own `sendmail`."""

from __future__ import annotations

import asyncio
import smtplib
import socket
import ssl
import subprocess
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formataddr, formatdate, make_msgid
from pathlib import Path

from tarmac.model.errors import HostFailure, InvalidInput, Unavailable
from tarmac.model.notification import Notification, SendmailTarget, SmtpTarget

SECONDS = 20.0
SENDMAIL = "/usr/sbin/sendmail"
_PORTS = {"tls": 465, "starttls": 587, "insecure": 25}


async def send_smtp(target: SmtpTarget, notification: Notification, to: Sequence[str]) -> None:
    """By the target's mail server. Raises Unavailable, InvalidInput without an address."""
    message = mail(notification, sender=target.from_address, author=target.author, to=to)
    try:
        await asyncio.to_thread(_deliver, target, message, list(to))
    except (OSError, smtplib.SMTPException) as problem:
        raise Unavailable(
            f"mail server {target.server} did not take the mail",
            code="mail-refused",
            cause=str(problem)[:300] or type(problem).__name__,
            evidence=f"{target.server}, {target.mode}",
        ) from problem


def _deliver(target: SmtpTarget, message: EmailMessage, to: list[str]) -> None:
    port = target.port or _PORTS[target.mode]
    trust = ssl.create_default_context()
    if target.mode == "tls":
        client: smtplib.SMTP = smtplib.SMTP_SSL(target.server, port, timeout=SECONDS, context=trust)
    else:
        client = smtplib.SMTP(target.server, port, timeout=SECONDS)
    with client:
        if target.mode == "starttls":
            client.starttls(context=trust)
        if target.username:
            client.login(target.username, target.password or "")
        client.send_message(message, target.from_address, to)


async def send_sendmail(target: SendmailTarget, notification: Notification, to: Sequence[str]) -> None:
    """By the host's `sendmail`. Raises HostFailure when there is none or it refuses."""
    sender = target.from_address or f"root@{socket.getfqdn()}"
    message = mail(notification, sender=sender, author=target.author, to=to)
    await asyncio.to_thread(_hand_over, message.as_bytes(), sender, to)


def _hand_over(message: bytes, sender: str, to: Sequence[str]) -> None:
    if not Path(SENDMAIL).exists():
        raise HostFailure("there is no sendmail on this host", code="no-sendmail", evidence=SENDMAIL)
    words = [SENDMAIL, "-i", "-f", sender, "--", *to]
    try:
        done = subprocess.run(words, input=message, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as problem:
        raise HostFailure("sendmail hangs", code="sendmail-failed", evidence=str(problem)) from problem
    if done.returncode:
        words_of_it = done.stderr.decode("utf-8", "replace")[-300:]
        raise HostFailure("sendmail refused the mail", code="sendmail-failed", evidence=words_of_it)


def mail(notification: Notification, *, sender: str, author: str | None, to: Sequence[str]) -> EmailMessage:
    """The mail; what a guest or a client supplied cannot add headers. Raises InvalidInput without an address."""
    if not to:
        raise InvalidInput(
            "the target has no address", code="no-address", cause="neither mailto nor mailto-user has one"
        )
    message = EmailMessage()
    message["Subject"] = " ".join(notification.title.split())[:250]
    message["From"] = formataddr((author or "Tarmac", sender))
    message["To"] = ", ".join(to)
    message["Date"] = formatdate(notification.timestamp, localtime=True)
    message["Message-ID"] = make_msgid(domain=sender.partition("@")[2] or "localhost")
    message["Auto-Submitted"] = "auto-generated"
    told = "".join(f"{name}: {value}\n" for name, value in sorted(notification.fields.items()))
    message.set_content(f"{notification.text.rstrip()}\n\nseverity: {notification.severity}\n{told}")
    return message
