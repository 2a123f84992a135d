"""Who may set and remove which tags: the datacenter's `user-tag-access` and `registered-tags`.

Somebody with Sys.Modify on / may everything. Others may not touch registered tags, and of the rest those that
`user-allow` admits. Source: get_allowed_tags, assert_tag_permissions of PVE::GuestHelpers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tarmac.model.datacenter import Datacenter, UserTagAccess, tags_of
from tarmac.model.errors import Denied, Fix
from tarmac.model.parse import list_items
from tarmac.services.access.access import Access, Identity
from tarmac.services.guests.guests import Guests


class TagRules:
    """`options` are the datacenter's, as they are now."""

    def __init__(self, *, guests: Guests, access: Access, options: Callable[[], Datacenter]) -> None:
        self._guests = guests
        self._access = access
        self._options = options

    def allowed(self, identity: Identity) -> list[str]:
        """The tags there are that the caller may set (`allowed-tags` of `GET /cluster/options`), sorted."""
        options, privileged = self._options(), self._privileged(identity)
        registered = set(tags_of(options.registered_tags))
        rules = options.user_tag_access or UserTagAccess()
        found: set[str] = set()
        if privileged or rules.user_allow != "none":
            found |= set(tags_of(rules.user_allow_list))
        if privileged or rules.user_allow in (None, "free", "existing"):
            sees = self._access.filter(identity, "/vms/{}", ["VM.Audit"])
            for guest in self._guests:
                if privileged or sees(guest.vmid):
                    found.update(guest.config.tags)
        return sorted(found | registered if privileged else found - registered)

    def check(self, identity: Identity, old: str, new: str) -> None:
        """Raises Denied, `Permission check failed (/, Sys.Modify for modifying tag 'x')`, unless the caller may turn
        one list of tags into another."""
        was, becomes = Counter(list_items(old.lower())), Counter(list_items(new.lower()))
        touched = [tag for tag in sorted({*was, *becomes}) if bool(was[tag]) != bool(becomes[tag])]
        options = self._options()
        if not touched or self._privileged(identity) or not (options.registered_tags or options.user_tag_access):
            return
        rules = options.user_tag_access or UserTagAccess()
        registered = {tag.lower() for tag in tags_of(options.registered_tags)}
        free = rules.user_allow in (None, "free")
        allowed = set() if free else {tag.lower() for tag in self.allowed(identity)}
        for tag in touched:
            if tag in registered or not (free or tag in allowed):
                raise _refused(identity, tag, tag in registered)

    def _privileged(self, identity: Identity) -> bool:
        return self._access.allowed(identity, "/", ["Sys.Modify"])


def _refused(identity: Identity, tag: str, registered: bool) -> Denied:
    return Denied(
        f"Permission check failed (/, Sys.Modify for modifying tag '{tag}')",
        code="tag-not-allowed",
        cause="it is a registered tag" if registered else "the datacenter's user-tag-access does not admit it",
        evidence=f"{identity.name} does not have Sys.Modify on /",
        fixes=[
            Fix(text="leave this tag as it is"),
            Fix(text="ask an administrator to set it, or to admit it", action="PUT /cluster/options"),
        ],
    )
