"""All services, as one record: what a face is given to work with.

The composition root fills it; a face reads it. Each attribute is one noun with its verbs. A verb takes the caller's
identity first where rights or ownership matter, and a verb that starts a task takes `dryrun=` and returns the UPID,
or the plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tarmac.model.datacenter import Datacenter, NodeConfig
    from tarmac.services.access.access import Access
    from tarmac.services.access.acls import Acls
    from tarmac.services.access.audit import Audit
    from tarmac.services.access.groups import Groups
    from tarmac.services.access.login import Login
    from tarmac.services.access.openid import OpenIdLogins
    from tarmac.services.access.pools import Pools
    from tarmac.services.access.realm_jobs import RealmJobs
    from tarmac.services.access.realm_sync import RealmSync
    from tarmac.services.access.realms import Realms
    from tarmac.services.access.roles import Roles
    from tarmac.services.access.tfa import SecondFactors
    from tarmac.services.access.tickets import Tickets
    from tarmac.services.access.tokens import Tokens
    from tarmac.services.access.users import Users
    from tarmac.services.access.why import AccessWhy
    from tarmac.services.acme.accounts import AcmeAccounts
    from tarmac.services.acme.orders import AcmeOrders
    from tarmac.services.attention.attention import Attention
    from tarmac.services.changes.definitions import DefinitionHistory
    from tarmac.services.changes.guest_history import GuestHistory
    from tarmac.services.clones.clones import Clones
    from tarmac.services.clones.features import VmFeatures
    from tarmac.services.clones.flatten import Flatten
    from tarmac.services.clones.numbers import CloneNumbers
    from tarmac.services.clones.templates import Templates
    from tarmac.services.cloudinit.cloudinit import CloudInit
    from tarmac.services.cloudinit.schema import Schemas
    from tarmac.services.configuration.configs import VmConfigs
    from tarmac.services.configuration.create import VmCreate
    from tarmac.services.configuration.tags import TagRules
    from tarmac.services.disks.gifts import DiskGifts
    from tarmac.services.disks.moves import DiskMoves
    from tarmac.services.disks.orphans import Orphans
    from tarmac.services.disks.resize import DiskResize
    from tarmac.services.events.events import Events
    from tarmac.services.events.notifications import Notifications
    from tarmac.services.events.storage_alarms import StorageAlarms
    from tarmac.services.figures.figures import Figures
    from tarmac.services.figures.history import History
    from tarmac.services.figures.metrics import Metrics
    from tarmac.services.figures.prometheus import Prometheus
    from tarmac.services.guests.guests import Guests
    from tarmac.services.guests.uids import Uids
    from tarmac.services.instant.admission import CloneAdmission
    from tarmac.services.instant.clones import InstantClones
    from tarmac.services.instant.frozen_ends import FrozenEnds
    from tarmac.services.instant.frozen_records import FrozenRecords
    from tarmac.services.instant.identity_later import Identities
    from tarmac.services.instant.records import InstantRecords
    from tarmac.services.instant.states import LiveStates
    from tarmac.services.instant.templates import LiveTemplates
    from tarmac.services.jobs.jobs import Jobs
    from tarmac.services.jobs.retention import Retention
    from tarmac.services.jobs.tasks import Tasks
    from tarmac.services.lifecycle.autostart import Autostart
    from tarmac.services.lifecycle.bulk import BulkActions
    from tarmac.services.lifecycle.io_errors import IoErrors
    from tarmac.services.lifecycle.removal import VmRemoval
    from tarmac.services.lifecycle.verbs import Vms
    from tarmac.services.networks.addresses import Addresses
    from tarmac.services.networks.apply import NetworkApply
    from tarmac.services.networks.definitions import NetworkDefinitions
    from tarmac.services.networks.host import NetworkHost
    from tarmac.services.networks.views import NetworkViews
    from tarmac.services.node.certificates import Certificates
    from tarmac.services.node.facts import NodeProbe
    from tarmac.services.node.host_changes import HostChanges
    from tarmac.services.node.memory_settings import MemorySettings
    from tarmac.services.node.nodes import Nodes
    from tarmac.services.node.options import Options
    from tarmac.services.resources.cluster import Cluster
    from tarmac.services.resources.status import VmStatus
    from tarmac.services.running.agents import Agents
    from tarmac.services.running.console_sessions import ConsoleSessions
    from tarmac.services.running.consoles import Consoles
    from tarmac.services.running.human_monitor import HumanMonitor
    from tarmac.services.running.launcher import Launcher
    from tarmac.services.running.live_changes import VmLive
    from tarmac.services.running.runtime import Runtime
    from tarmac.services.running.usage import UsageSampler
    from tarmac.services.snapshots.lost_points import LostPoints
    from tarmac.services.snapshots.rollback import VmRollback
    from tarmac.services.snapshots.schedules import SnapshotSchedules
    from tarmac.services.snapshots.snapshots import VmSnapshots
    from tarmac.services.storage.storages import Storages
    from tarmac.services.storage.views import StorageViews
    from tarmac.services.storage.volumes import Volumes
    from tarmac.services.transfers.downloads import Downloads
    from tarmac.services.transfers.exports import Exports
    from tarmac.services.transfers.images import Images
    from tarmac.services.transfers.resumable import ResumableUploads
    from tarmac.services.transfers.uploads import Uploads

LATER: Any = None
"""Stands for a service until the composition root has built it; nothing is served before."""


@dataclass(slots=True, kw_only=True)
class Services:
    """One attribute per service; `node` is this node's name, `version` this program's, `web` the address of the API
    and the web page (`https://192.0.2.1:8006/`), known once it is served."""

    node: str
    version: str
    web: str = ""
    certificates: Certificates = LATER
    acme_accounts: AcmeAccounts = LATER
    acme_orders: AcmeOrders = LATER
    jobs: Jobs = LATER
    tasks: Tasks = LATER
    vms: Vms = LATER
    vm_removal: VmRemoval = LATER
    templates: Templates = LATER
    clones: Clones = LATER
    clone_numbers: CloneNumbers = LATER
    flatten: Flatten = LATER
    vm_configs: VmConfigs = LATER
    vm_create: VmCreate = LATER
    disk_resize: DiskResize = LATER
    vm_live: VmLive = LATER
    disk_moves: DiskMoves = LATER
    disk_gifts: DiskGifts = LATER
    vm_snapshots: VmSnapshots = LATER
    vm_rollback: VmRollback = LATER
    snapshot_schedules: SnapshotSchedules = LATER
    vm_status: VmStatus = LATER
    vm_features: VmFeatures = LATER
    guests: Guests = LATER
    launcher: Launcher = LATER
    io_errors: IoErrors = LATER
    runtime: Runtime = LATER
    human_monitor: HumanMonitor = LATER
    usage: UsageSampler = LATER
    figures: Figures = LATER
    events: Events = LATER
    history: History = LATER
    metrics: Metrics = LATER
    prometheus: Prometheus = LATER
    notifications: Notifications = LATER
    attention: Attention = LATER
    autostart: Autostart = LATER
    bulk: BulkActions = LATER
    guest_history: GuestHistory = LATER
    definition_history: DefinitionHistory = LATER
    agents: Agents = LATER
    cluster: Cluster = LATER
    nodes: Nodes = LATER
    networks: NetworkDefinitions = LATER
    addresses: Addresses = LATER
    network_host: NetworkHost = LATER
    network_apply: NetworkApply = LATER
    network_views: NetworkViews = LATER
    datacenter: Options[Datacenter] = LATER
    node_config: Options[NodeConfig] = LATER
    tags: TagRules = LATER
    retention: Retention = LATER
    probe: NodeProbe = LATER
    host_changes: HostChanges = LATER
    uids: Uids = LATER
    storages: Storages = LATER
    storage_views: StorageViews = LATER
    orphans: Orphans = LATER
    storage_alarms: StorageAlarms = LATER
    lost_points: LostPoints = LATER
    volumes: Volumes = LATER
    uploads: Uploads = LATER
    resumable: ResumableUploads = LATER
    downloads: Downloads = LATER
    exports: Exports = LATER
    images: Images = LATER
    cloudinit: CloudInit = LATER
    schemas: Schemas = LATER
    live_templates: LiveTemplates = LATER
    live_states: LiveStates = LATER
    instant_clones: InstantClones = LATER
    frozen_records: FrozenRecords = LATER
    clone_admission: CloneAdmission = LATER
    memory_settings: MemorySettings = LATER
    frozen_ends: FrozenEnds = LATER
    instant_records: InstantRecords = LATER
    identities: Identities = LATER
    consoles: Consoles = LATER
    console_sessions: ConsoleSessions = LATER
    access: Access = LATER
    access_why: AccessWhy = LATER
    audit: Audit = LATER
    users: Users = LATER
    groups: Groups = LATER
    realms: Realms = LATER
    realm_sync: RealmSync = LATER
    realm_jobs: RealmJobs = LATER
    openid: OpenIdLogins = LATER
    roles: Roles = LATER
    pools: Pools = LATER
    acls: Acls = LATER
    tokens: Tokens = LATER
    tickets: Tickets = LATER
    login: Login = LATER
    second_factors: SecondFactors = LATER
