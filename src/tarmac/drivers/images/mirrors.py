"""Where the packages of a Debian release come from: its archive, by the mirrors that the host itself uses.

An image is made from one release whatever the host runs, so that it is the same everywhere.
"""

from __future__ import annotations

import re

from tarmac.drivers.images import tools

_MIRROR = "http://deb.debian.org/debian"
_SECURITY = "http://deb.debian.org/debian-security"


async def sources(suite: str) -> list[str]:
    """sources.list lines for `suite`: the host's own mirrors where its apt names them, else deb.debian.org."""
    mirrors = {suite: _MIRROR, f"{suite}-updates": _MIRROR, f"{suite}-security": _SECURITY}
    form = "$(RELEASE) $(COMPONENT) $(REPO_URI) $(CREATED_BY)"
    for line in (await tools.run("apt-get", "indextargets", "--format", form)).splitlines():
        release, component, uri, made_by = (line.split() + [""] * 4)[:4]
        if release in mirrors and component == "main" and made_by == "Packages" and re.match(r"https?://", uri):
            mirrors[release] = uri
    return [f"deb {uri} {release} main" for release, uri in mirrors.items()]
