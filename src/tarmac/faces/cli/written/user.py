"""`tarmac user add|passwd`, `tarmac token add`: what asks for a secret or shows one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from urllib.parse import quote

from tarmac.faces.cli import commands, declared
from tarmac.faces.cli.client import Params
from tarmac.faces.cli.errors import usage
from tarmac.faces.cli.secret_input import read_secret
from tarmac.faces.cli.session import Session


def token_add_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("user", metavar="USER", help="the user the token acts for: root@pam")
    parser.add_argument("name", metavar="NAME", help="the token's name")
    parser.add_argument(
        "--privsep",
        nargs="?",
        const="1",
        default=None,
        metavar="0|1",
        help="only what is granted to the token itself (default: 1)",
    )
    parser.add_argument("--expire", type=int, metavar="SECONDS", help="when it ends, as seconds since 1970; 0: never")
    parser.add_argument("--comment", help="what it is for")


def token_add(session: Session) -> int:
    """Make a token. The result has Proxmox's fields: `full-tokenid`, `info`, `value` (the secret)."""
    o = session.options
    params: Params = {"privsep": o.privsep, "expire": o.expire, "comment": o.comment}
    reply = session.client.post(
        f"/access/users/{quote(user_id(o.user), safe='')}/token/{quote(o.name, safe='')}", params
    )
    session.show(reply)
    if session.output == "table":
        session.say(f"Use it as: --token '{reply['full-tokenid']}={reply['value']}'   (it is not shown again)")
    return 0


def user_add_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("userid", metavar="USER", help="name@realm: anna@pve")
    parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    if spec := declared.table().get("user add"):
        commands.add_parameters(parser, spec, argv, skip=("userid", "password"))


def user_add(session: Session) -> int:
    """Add a user. A password is asked for only where the realm keeps it with us."""
    o = session.options
    userid = user_id(o.userid)
    spec = declared.table().get("user add")
    params = commands.given(spec, o, skip=("userid", "password")) if spec else {}
    params["userid"] = userid
    if userid.endswith("@pve"):
        params["password"] = _password(userid, from_stdin=o.password_stdin)
    session.client.post("/access/users", params)
    session.say(f"added {userid}")
    return 0


def passwd_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("userid", metavar="USER", help="name@realm: anna@pve")
    parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")


def passwd(session: Session) -> int:
    """Set a password."""
    userid = user_id(session.options.userid)
    password = _password(userid, from_stdin=session.options.password_stdin)
    session.client.put("/access/password", {"userid": userid, "password": password})
    session.say(f"the password of {userid} is set")
    return 0


def user_id(text: str) -> str:
    """Raises CliError unless it has a realm."""
    name, at, realm = text.rpartition("@")
    if not (name and at and realm):
        raise usage(f"'{text}' has no realm", f"write {text}@pve for a user of ours, {text}@pam for one of the system")
    return text


def _password(userid: str, *, from_stdin: bool) -> str:
    return read_secret(
        f"password of {userid}", from_stdin=from_stdin, remedy="--password-stdin reads it from standard input"
    )
