"""All services, as one record: what a face is given to work with.

The composition root fills it; a face reads it. Each attribute is one noun with its verbs. A verb takes the caller's
identity first where rights or ownership matter, and a verb that starts a task takes `dryrun=` and returns the UPID,
or the plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tarmac.services.access import Access
    from tarmac.services.access_why import AccessWhy
    from tarmac.services.acls import Acls
    from tarmac.services.agents import Agents
    from tarmac.services.audit import Audit
    from tarmac.services.autostart import Autostart
    from tarmac.services.clones import Clones
    from tarmac.services.cloudinit import CloudInit
    from tarmac.services.cloudinit_schema import Schemas
    from tarmac.services.cluster import Cluster
    from tarmac.services.console_sessions import ConsoleSessions
    from tarmac.services.consoles import Consoles
    from tarmac.services.disk_moves import DiskMoves
    from tarmac.services.downloads import Downloads
    from tarmac.services.events import Events
    from tarmac.services.exports import Exports
    from tarmac.services.figures import Figures
    from tarmac.services.groups import Groups
    from tarmac.services.guests import Guests
    from tarmac.services.history import History
    from tarmac.services.identities import Identities
    from tarmac.services.images import Images
    from tarmac.services.instant_clones import InstantClones
    from tarmac.services.instant_records import InstantRecords
    from tarmac.services.io_errors import IoErrors
    from tarmac.services.jobs import Jobs
    from tarmac.services.launcher import Launcher
    from tarmac.services.live_states import LiveStates
    from tarmac.services.live_templates import LiveTemplates
    from tarmac.services.login import Login
    from tarmac.services.metrics import Metrics
    from tarmac.services.node_facts import NodeProbe
    from tarmac.services.nodes import Nodes
    from tarmac.services.notifications import Notifications
    from tarmac.services.orphans import Orphans
    from tarmac.services.pools import Pools
    from tarmac.services.prometheus import Prometheus
    from tarmac.services.roles import Roles
    from tarmac.services.runtime import Runtime
    from tarmac.services.snapshot_schedules import SnapshotSchedules
    from tarmac.services.storage_views import StorageViews
    from tarmac.services.storages import Storages
    from tarmac.services.tasks import Tasks
    from tarmac.services.templates import Templates
    from tarmac.services.tfa import SecondFactors
    from tarmac.services.tickets import Tickets
    from tarmac.services.tokens import Tokens
    from tarmac.services.uids import Uids
    from tarmac.services.uploads import Uploads
    from tarmac.services.usage import UsageSampler
    from tarmac.services.users import Users
    from tarmac.services.vm_config import VmConfigs
    from tarmac.services.vm_create import VmCreate
    from tarmac.services.vm_disks import VmDisks
    from tarmac.services.vm_features import VmFeatures
    from tarmac.services.vm_rollback import VmRollback
    from tarmac.services.vm_snapshots import VmSnapshots
    from tarmac.services.vm_status import VmStatus
    from tarmac.services.vms import Vms
    from tarmac.services.volumes import Volumes

LATER: Any = None
"""Stands for a service until the composition root has built it; nothing is served before."""


@dataclass(slots=True, kw_only=True)
class Services:
    """One attribute per service; `node` is this node's name, `version` this program's, `web` the address of the API
    and the web page (`https://192.0.2.1:8006/`), known once it is served, `certificate` the file of its certificate."""

    node: str
    version: str
    web: str = ""
    certificate: Path | None = None
    jobs: Jobs = LATER
    tasks: Tasks = LATER
    vms: Vms = LATER
    templates: Templates = LATER
    clones: Clones = LATER
    vm_configs: VmConfigs = LATER
    vm_create: VmCreate = LATER
    vm_disks: VmDisks = LATER
    disk_moves: DiskMoves = LATER
    vm_snapshots: VmSnapshots = LATER
    vm_rollback: VmRollback = LATER
    snapshot_schedules: SnapshotSchedules = LATER
    vm_status: VmStatus = LATER
    vm_features: VmFeatures = LATER
    guests: Guests = LATER
    launcher: Launcher = LATER
    io_errors: IoErrors = LATER
    runtime: Runtime = LATER
    usage: UsageSampler = LATER
    figures: Figures = LATER
    events: Events = LATER
    history: History = LATER
    metrics: Metrics = LATER
    prometheus: Prometheus = LATER
    notifications: Notifications = LATER
    autostart: Autostart = LATER
    agents: Agents = LATER
    cluster: Cluster = LATER
    nodes: Nodes = LATER
    probe: NodeProbe = LATER
    uids: Uids = LATER
    storages: Storages = LATER
    storage_views: StorageViews = LATER
    orphans: Orphans = LATER
    volumes: Volumes = LATER
    uploads: Uploads = LATER
    downloads: Downloads = LATER
    exports: Exports = LATER
    images: Images = LATER
    cloudinit: CloudInit = LATER
    schemas: Schemas = LATER
    live_templates: LiveTemplates = LATER
    live_states: LiveStates = LATER
    instant_clones: InstantClones = LATER
    instant_records: InstantRecords = LATER
    identities: Identities = LATER
    consoles: Consoles = LATER
    console_sessions: ConsoleSessions = LATER
    access: Access = LATER
    access_why: AccessWhy = LATER
    audit: Audit = LATER
    users: Users = LATER
    groups: Groups = LATER
    roles: Roles = LATER
    pools: Pools = LATER
    acls: Acls = LATER
    tokens: Tokens = LATER
    tickets: Tickets = LATER
    login: Login = LATER
    second_factors: SecondFactors = LATER
