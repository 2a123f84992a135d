"""All services, as one record: what a face is given to work with.

The composition root fills it; a face reads it. Each attribute is one noun with its verbs. A verb takes the caller's
identity first where rights or ownership matter, and a verb that starts a task takes `dryrun=` and returns the UPID,
or the plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True, kw_only=True)
class Services:
    """One attribute per service; `node` is this node's name, `version` this program's, `web` the address of the API
    and the web page (`https://192.0.2.1:8006/`), known once it is served, `certificate` the file of its certificate."""

    node: str
    version: str
    web: str = ""
    jobs: Any = None
    tasks: Any = None
    vms: Any = None
    vm_configs: Any = None
    vm_create: Any = None
    vm_disks: Any = None
    vm_status: Any = None
    guests: Any = None
    launcher: Any = None
    autostart: Any = None
    agents: Any = None
    cluster: Any = None
    nodes: Any = None
    storages: Any = None
    storage_views: Any = None
    volumes: Any = None
    uploads: Any = None
    downloads: Any = None
    images: Any = None
    cloudinit: Any = None
    consoles: Any = None
    console_sessions: Any = None
    certificate: Any = None
    access: Any = None
    users: Any = None
    groups: Any = None
    roles: Any = None
    acls: Any = None
    tokens: Any = None
    tickets: Any = None
    login: Any = None
    runtime: Any = None
    usage: Any = None
