"""`tarmac tfa totp|recovery`: second factors from the terminal. Secrets are printed once, and codes come from the
terminal or from standard input."""

from __future__ import annotations

import argparse
import base64
import os
import subprocess
import sys
from collections.abc import Sequence
from urllib.parse import quote, urlencode

from tarmac.faces.cli.client import Params
from tarmac.faces.cli.errors import CliError, usage
from tarmac.faces.cli.secret_input import read_secret
from tarmac.faces.cli.session import Session
from tarmac.faces.cli.written.user import user_id

_SECRET_BYTES = 20


def totp_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("userid", metavar="USER", help="whose: anna@pve")
    parser.add_argument("--description", metavar="TEXT", help="which telephone, say")
    parser.add_argument("--issuer", default="Tarmac", metavar="NAME", help="the name that the program shows")
    _password(parser)


def totp(session: Session) -> int:
    """Make a secret, show it as an address (and as a picture where `qrencode` is installed), ask for a code of it."""
    o = session.options
    userid = user_id(o.userid)
    address = otpauth(userid, o.issuer, base64.b32encode(os.urandom(_SECRET_BYTES)).decode())
    print(address, flush=True)
    if sys.stdout.isatty():
        _picture(address)
    session.say("Give this to the authenticator program, then the code that it shows.")
    code = _code()
    params: Params = {"type": "totp", "totp": address, "value": code, "description": o.description}
    reply = session.client.post(_path(userid), {**params, **_confirmation(session)})
    session.say(f"{userid} needs a code to log in from now on; remove it: tarmac tfa delete {userid} {reply['id']}")
    return 0


def recovery_options(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    parser.add_argument("userid", metavar="USER", help="whose: anna@pve")
    parser.add_argument("--description", metavar="TEXT", help="where they are kept, say")
    _password(parser)


def recovery(session: Session) -> int:
    """Make recovery keys and print them, one a line."""
    o = session.options
    userid = user_id(o.userid)
    params: Params = {"type": "recovery", "description": o.description, **_confirmation(session)}
    reply = session.client.post(_path(userid), params)
    if session.output != "table":
        session.show(reply)
    else:
        print("\n".join(reply["recovery"]))
        session.say("Each of them is good for one login. They are not shown again.")
    return 0


def otpauth(userid: str, issuer: str, secret: str) -> str:
    """The address that authenticator programs take."""
    label = quote(f"{issuer}:{userid}", safe="")
    return f"otpauth://totp/{label}?{urlencode({'secret': secret, 'issuer': issuer}, quote_via=quote)}"


def _password(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--password-stdin", action="store_true", help="read your own password from standard input")


def _confirmation(session: Session) -> Params:
    """The caller's own password, where it was said that one is to be given."""
    if not session.options.password_stdin:
        return {}
    return {"password": read_secret("password", from_stdin=True, remedy="")}


def _code() -> str:
    if sys.stdin.isatty():
        print("Code: ", end="", file=sys.stderr, flush=True)
    code = sys.stdin.readline().strip()
    if not code:
        raise usage("no code was given", "type the one that the authenticator program shows")
    return code


def _picture(address: str) -> None:
    """A QR code where the host can draw one; the address alone does as well."""
    try:
        # By standard input: nothing secret stands in a process list.
        subprocess.run(["qrencode", "-t", "ANSIUTF8"], input=address.encode(), check=True)
    except (OSError, subprocess.CalledProcessError):
        return


def _path(userid: str) -> str:
    if not userid:
        raise CliError("invalid-input", "which user?")
    return f"/access/tfa/{quote(userid, safe='')}"
