"""Groups of users: grants to a group are grants to its members."""

from __future__ import annotations

import dataclasses
from typing import Any

from tarmac.model.errors import Conflict, Fix, InvalidInput, NotFound
from tarmac.model.users import Group, check_group_id
from tarmac.services.access.access import Access, Identity
from tarmac.services.access.directory import Directory, Key

_SEE = ("User.Modify", "Group.Allocate", "Sys.Audit")


class Groups:
    """Verbs on groups. Members are changed through their users. `by` is the name of who makes a change."""

    def __init__(self, directory: Directory, access: Access) -> None:
        self._directory = directory
        self._access = access

    def list(self, identity: Identity) -> list[dict[str, Any]]:
        """Rows of `GET /access/groups` that the caller may see."""
        may = self._access.filter(identity, "/access/groups/{}", _SEE)
        groups = sorted(self._directory.groups.values(), key=lambda group: group.groupid)
        return [
            {"groupid": g.groupid, "users": ",".join(g.members), **({"comment": g.comment} if g.comment else {})}
            for g in groups
            if may(g.groupid)
        ]

    def get(self, groupid: str) -> dict[str, Any]:
        """`{"members": [...], "comment"?}`. Raises NotFound `group 'g' does not exist`."""
        group = self._find(groupid, "")
        return {"members": list(group.members), **({"comment": group.comment} if group.comment else {})}

    async def create(self, groupid: str, *, by: str, comment: str = "") -> None:
        """Raises Conflict `create group failed: group 'g' already exists`, InvalidInput."""
        try:
            check_group_id(groupid)
        except ValueError as problem:
            raise InvalidInput.of("groupid", f"invalid format - {problem}") from None
        async with self._directory.lock:
            if groupid in self._directory.groups:
                raise Conflict(
                    f"create group failed: group '{groupid}' already exists",
                    code="group-exists",
                    cause="an id belongs to one group",
                    evidence=groupid,
                    fixes=[Fix(text="change the existing group", action=f"PUT /access/groups/{groupid}")],
                )
            record = Group(groupid=groupid, comment=comment)
            await self._directory.commit({("group", groupid): record}, by=by, what=f"create group {groupid}")

    async def update(self, groupid: str, *, by: str, comment: str | None = None) -> None:
        """Raises NotFound `update group failed: ...`."""
        async with self._directory.lock:
            group = self._find(groupid, "update group failed: ")
            if comment is not None and comment != group.comment:
                record = dataclasses.replace(group, comment=comment)
                await self._directory.commit({("group", groupid): record}, by=by, what=f"update group {groupid}")

    async def delete(self, groupid: str, *, by: str) -> None:
        """Remove a group and what is granted to it; its members stay. Raises NotFound `delete group failed: ...`."""
        async with self._directory.lock:
            self._find(groupid, "delete group failed: ")
            gone: dict[Key, Any] = {("group", groupid): None}
            if f"group:{groupid}" in self._directory.grants:
                gone[("grants", f"group:{groupid}")] = None
            await self._directory.commit(gone, by=by, what=f"delete group {groupid}")

    def _find(self, groupid: str, doing: str) -> Group:
        group = self._directory.groups.get(groupid)
        if group is None:
            raise NotFound(
                f"{doing}group '{groupid}' does not exist",
                code="no-such-group",
                cause="no group has this id",
                evidence=groupid,
                fixes=[Fix(text="list the groups", action="GET /access/groups")],
            )
        return group
