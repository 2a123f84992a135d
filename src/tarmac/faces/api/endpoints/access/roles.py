"""Roles and groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.faces.api.declare import LIST, OBJECT, Allow, Call, NoParams, delete, get, post, put
from tarmac.faces.api.shapes import access as shapes
from tarmac.model.settings import setting

NAME = r"[A-Za-z0-9._-]+"
MODIFY = Allow("/access", "Sys.Modify")
ALLOCATE = Allow("/access/groups", "Group.Allocate")


@dataclass(frozen=True, kw_only=True)
class Role:
    roleid: str = setting(pattern=NAME, help="The role.")


@dataclass(frozen=True, kw_only=True)
class RoleCreate(Role):
    privs: tuple[str, ...] = setting((), help="Its privileges.")


@dataclass(frozen=True, kw_only=True)
class RoleUpdate(RoleCreate):
    append: bool = setting(False, help="Add the privileges instead of replacing them.")


@dataclass(frozen=True, kw_only=True)
class Group:
    groupid: str = setting(pattern=NAME, help="The group.")


@dataclass(frozen=True, kw_only=True)
class GroupFields(Group):
    comment: str | None = setting(None, help="Notes.")


@get(
    "/access/roles",
    reply=list[shapes.RoleRow],
    allow=Allow.login,
    returns=LIST,
    cli="role list",
    help="The roles and their privileges.",
)
async def roles(call: Call, p: NoParams) -> Any:
    return call.services.roles.list()


@post("/access/roles", params=RoleCreate, allow=MODIFY, cli="role add {roleid}", help="Make a role.")
async def create_role(call: Call, p: RoleCreate) -> None:
    await call.services.roles.create(p.roleid, p.privs, by=call.identity.name)


@get("/access/roles/{roleid}", params=Role, allow=Allow.login, returns=OBJECT, cli="role show {roleid}", help="A role.")
async def role(call: Call, p: Role) -> Any:
    return call.services.roles.get(p.roleid)


@put("/access/roles/{roleid}", params=RoleUpdate, allow=MODIFY, cli="role set {roleid}", help="Change a role.")
async def update_role(call: Call, p: RoleUpdate) -> None:
    await call.services.roles.update(p.roleid, p.privs, by=call.identity.name, append=p.append)


@delete("/access/roles/{roleid}", params=Role, allow=MODIFY, cli="role delete {roleid}", help="Remove a role.")
async def remove_role(call: Call, p: Role) -> None:
    await call.services.roles.delete(p.roleid, by=call.identity.name)


@get(
    "/access/groups",
    reply=list[shapes.GroupRow],
    allow=Allow.login,
    returns=LIST,
    cli="group list",
    help="The groups that the caller may see.",
)
async def groups(call: Call, p: NoParams) -> Any:
    return call.services.groups.list(call.identity)


@post("/access/groups", params=GroupFields, allow=ALLOCATE, cli="group add {groupid}", help="Make a group.")
async def create_group(call: Call, p: GroupFields) -> None:
    await call.services.groups.create(p.groupid, by=call.identity.name, comment=p.comment or "")


@get(
    "/access/groups/{groupid}",
    params=Group,
    allow=Allow("/access/groups", "Sys.Audit", "Group.Allocate", any=True),
    returns=OBJECT,
    cli="group show {groupid}",
    help="A group and its members.",
)
async def group(call: Call, p: Group) -> Any:
    return call.services.groups.get(p.groupid)


@put("/access/groups/{groupid}", params=GroupFields, allow=ALLOCATE, cli="group set {groupid}", help="Change a group.")
async def update_group(call: Call, p: GroupFields) -> None:
    await call.services.groups.update(p.groupid, by=call.identity.name, comment=p.comment)


@delete("/access/groups/{groupid}", params=Group, allow=ALLOCATE, cli="group delete {groupid}", help="Remove a group.")
async def remove_group(call: Call, p: Group) -> None:
    await call.services.groups.delete(p.groupid, by=call.identity.name)
