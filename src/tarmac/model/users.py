"""Who may use the platform: users, their API tokens, groups, roles, grants and pools, as stored records.

Immutable values; `rows` and `infos` are in Proxmox's field names, ready to print, and never hold a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from tarmac.model.formats import register

ROOT = "root@pam"
REALM = r"[A-Za-z][A-Za-z0-9._-]+"
USER_ID = re.compile(rf"(?P<name>[^\s:/]+)@(?P<realm>{REALM})")
TOKEN_ID = re.compile(rf"(?P<user>[^\s:/]+@{REALM})!(?P<token>{REALM})")
MAX_USER_ID = 64

AclKind = Literal["user", "group", "token"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An API token of a user. `secret` is the SHA-256 of its value in hex; `expire` is in seconds since 1970, 0: never
    by itself; `privsep`: it has only what is granted to it as well as to its user."""

    expire: int = 0
    privsep: bool = True
    comment: str = ""
    secret: str = ""

    def info(self) -> dict[str, Any]:
        """In Proxmox's field names."""
        comment = {"comment": self.comment} if self.comment else {}
        return {"privsep": int(self.privsep), "expire": self.expire, **comment}


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user; `expire` in seconds since 1970, 0: never. `tokens` by their names."""

    userid: str
    enable: bool = True
    expire: int = 0
    firstname: str = ""
    lastname: str = ""
    email: str = ""
    comment: str = ""
    keys: str = ""
    tokens: dict[str, Token] = field(default_factory=dict)

    @property
    def realm(self) -> str:
        return self.userid.rpartition("@")[2]

    @property
    def name(self) -> str:
        """The user's name within the realm."""
        return self.userid.rpartition("@")[0]

    def info(self) -> dict[str, Any]:
        """In Proxmox's field names; texts that are empty are left out."""
        texts = {k: getattr(self, k) for k in ("firstname", "lastname", "email", "comment", "keys")}
        return {"enable": int(self.enable), "expire": self.expire, **{k: v for k, v in texts.items() if v}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """`realm`: whose directory it came from, empty for one that was made here."""

    groupid: str
    comment: str = ""
    members: tuple[str, ...] = ()
    realm: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A named set of privileges; `special`: predefined, never changed."""

    roleid: str
    privileges: tuple[str, ...] = ()
    special: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AclEntry:
    """One grant: `who` (a user, group or token id) has `role` on `path`, and below it if `propagate`."""

    path: str
    kind: AclKind
    who: str
    role: str
    propagate: bool = True

    def row(self) -> dict[str, Any]:
        """In Proxmox's field names."""
        propagate = int(self.propagate)
        return {"path": self.path, "type": self.kind, "ugid": self.who, "roleid": self.role, "propagate": propagate}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """All grants of one user (with those of its tokens) or of one group."""

    entries: tuple[AclEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Guests and storages that are granted together; a pool `a/b` stands below the pool `a`."""

    poolid: str
    comment: str = ""
    guests: tuple[int, ...] = ()
    storages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TfaEntry:
    """One second factor. `secret` is the `otpauth://` address of a TOTP program; `codes` are hashes of recovery keys,
    empty where one was used; `created` in seconds since 1970. Of a security key: its public `credential` in Base64, the
    `name` of the page that it belongs to, and how often it was used (`counter`)."""

    id: str
    type: str
    description: str = ""
    created: int = 0
    enable: bool = True
    secret: str = ""
    codes: tuple[str, ...] = ()
    credential: str = ""
    name: str = ""
    counter: int = 0

    def info(self) -> dict[str, Any]:
        """In Proxmox's field names, without secrets."""
        shown = {"id": self.id, "type": self.type, "description": self.description, "created": self.created}
        return {**shown, "enable": int(self.enable)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tfa:
    """A user's second factors: `used` is the time step of the last code, so that none is taken twice; wrong codes and
    recovery keys in a row are counted; `locked_until` in seconds since 1970; `answered` are the last challenges that a
    security key answered, so that no answer is taken twice."""

    userid: str
    entries: tuple[TfaEntry, ...] = ()
    used: int = 0
    wrong_codes: int = 0
    wrong_keys: int = 0
    locked_until: int = 0
    answered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Password:
    """A password as scrypt keeps it; salt and hash in hex."""

    salt: str
    hash: str
    n: int
    r: int
    p: int


def split_user(userid: str) -> tuple[str, str]:
    """(name, realm) of a user id. Raises ValueError in Proxmox's words."""
    if len(userid) < 3:
        raise ValueError(f"user name '{userid}' is too short")
    if len(userid) > MAX_USER_ID:
        raise ValueError(f"user name '{userid}' is too long ({len(userid)} > {MAX_USER_ID})")
    match = USER_ID.fullmatch(userid)
    if match is None or not userid.isprintable():
        raise ValueError(f"value '{userid}' does not look like a valid user name")
    return match["name"], match["realm"]


def split_token(tokenid: str) -> tuple[str, str]:
    """(user id, token name) of a full token id. Raises ValueError in Proxmox's words."""
    match = TOKEN_ID.fullmatch(tokenid)
    if match is None:
        raise ValueError(f"value '{tokenid}' does not look like a valid token ID")
    split_user(match["user"])
    return match["user"], match["token"]


def _named(format_name: str, pattern: str, words: str) -> Callable[[str], None]:
    compiled = re.compile(pattern)

    @register(format_name)
    def check(text: str) -> None:
        if not compiled.fullmatch(text):
            raise ValueError(words.format(text=text))

    return check


check_group_id = _named("pve-groupid", r"[A-Za-z0-9._-]+", "group name '{text}' contains invalid characters")
check_role_id = _named("pve-roleid", r"[A-Za-z0-9._-]+", "role name '{text}' contains invalid characters")
check_realm_id = _named("pve-realm", REALM, "value does not look like a valid realm")
check_email = _named(
    "email-opt", r"|[^\s@:]{1,128}@[A-Za-z0-9.-]{1,253}", "value does not look like a valid email address"
)


@register("email-list")
def _email_list(text: str) -> None:
    for address in (part for part in re.split(r"[,;\s]+", text) if part):
        check_email(address)
