"""Shapes of users, groups, roles, grants, tokens, second factors and pools."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class RealmRow(TypedDict):
    realm: str
    type: str
    comment: NotRequired[str]
    default: NotRequired[int]


class Ticket(TypedDict):
    """A login; with `NeedTFA` the first of two steps."""

    username: str
    ticket: str
    CSRFPreventionToken: str
    cap: dict[str, Any]
    NeedTFA: NotRequired[int]


class Token(TypedDict):
    tokenid: str
    privsep: NotRequired[int]
    expire: NotRequired[int]
    comment: NotRequired[str]


NewToken = TypedDict("NewToken", {"full-tokenid": str, "value": str, "info": dict[str, Any]})


class UserRow(TypedDict):
    """`groups` and `tokens` only with `full`."""

    userid: str
    enable: NotRequired[int]
    expire: NotRequired[int]
    comment: NotRequired[str]
    email: NotRequired[str]
    firstname: NotRequired[str]
    lastname: NotRequired[str]
    groups: NotRequired[str]
    tokens: NotRequired[list[Token]]


class GroupRow(TypedDict):
    groupid: str
    comment: NotRequired[str]
    users: NotRequired[str]


class RoleRow(TypedDict):
    """`privs` are separated by commas; `special`: the platform's own."""

    roleid: str
    privs: str
    special: NotRequired[int]


class GrantRow(TypedDict):
    path: str
    ugid: str
    type: Literal["user", "group", "token"]
    roleid: str
    propagate: int


class Verdict(TypedDict):
    """Of one privilege: whether it is held, by which grants, and the sentence that says why."""

    privilege: str
    held: int
    by: list[GrantRow]
    text: str


class LookedAt(GrantRow):
    """A grant that was looked at, and why it counts or does not."""

    counts: int
    why: str


class WhyReply(TypedDict):
    userid: str
    path: str
    allowed: int
    privileges: list[Verdict]
    grants: list[LookedAt]


class Factor(TypedDict):
    id: str
    type: str
    description: NotRequired[str]
    created: NotRequired[int]
    enable: NotRequired[int]


class FactorsOf(TypedDict):
    userid: str
    entries: list[Factor]


class NewFactor(TypedDict):
    """`recovery`: the keys, shown this once; `challenge`: what a security key is asked, before there is an id."""

    id: NotRequired[str]
    challenge: NotRequired[str]
    recovery: NotRequired[list[str]]


class PoolMember(TypedDict):
    id: str
    type: str
    node: str
    vmid: NotRequired[int]
    name: NotRequired[str]
    storage: NotRequired[str]
    status: NotRequired[str]


class PoolDetails(TypedDict):
    members: list[PoolMember]
    comment: NotRequired[str]


class PoolRow(TypedDict):
    """`members` only of a pool that was asked for."""

    poolid: str
    comment: NotRequired[str]
    members: NotRequired[list[PoolMember]]
