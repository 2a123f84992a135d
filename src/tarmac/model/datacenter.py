"""Settings of the whole cluster (Proxmox's `datacenter.cfg`) and of one node (its `config`).

Everything that Proxmox takes is taken, kept and shown. `NO_EFFECT` names what nothing here looks at yet, with what it
waits for; the plan of a change says so. Source of keys and limits: PVE::DataCenterConfig, PVE::NodeConfig.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from tarmac.model.settings import indexed, setting

_DOMAIN = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63}){0,30}", re.ASCII)
TAG = r"[A-Za-z0-9_][A-Za-z0-9_+.-]*"
_COLOR = rf"{TAG}:[0-9a-fA-F]{{6}}(?::[0-9a-fA-F]{{6}})?"
MAC_PREFIX = "BC:24:11"  # Proxmox's own, so that tools that look at it keep working
FIRST_ID, LAST_ID = 100, 1_000_000
KEYBOARDS = (
    "de", "de-ch", "da", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch", "hu", "is", "it", "ja", "lt",
    "mk", "nl", "no", "pl", "pt", "pt-br", "sv", "sl", "tr",
)  # fmt: skip
LANGUAGES = (
    "ar", "ca", "da", "de", "en", "es", "eu", "fa", "fr", "hr", "he", "it", "ja", "ka", "kr", "nb", "nl", "nn", "pl",
    "pt_BR", "ru", "sl", "sv", "tr", "ukr", "zh_CN", "zh_TW",
)  # fmt: skip

NO_EFFECT: Mapping[str, str] = {
    "crs": "high availability is not built yet",
    "fencing": "high availability is not built yet",
    "ha": "high availability is not built yet",
    "migration": "migration is not built yet",
    "migration_unsecure": "migration is not built yet",
    "replication": "replication is not built yet",
    "http_proxy": "downloads go out directly; a proxy is not used yet",
    "notify": "what is told is what the notification matchers say",
    "u2f": "Proxmox itself has given it up for WebAuthn",
    "ballooning-target": "the host does not take memory back by itself yet",
    "wakeonlan": "there is no other node that could wake this one",
}


@dataclass(frozen=True, kw_only=True)
class BandwidthLimits:
    """KiB/s, 0 for none."""

    clone: float | None = setting(None, ge=0, unit="KiB/s", help="For clones.")
    default: float | None = setting(None, ge=0, unit="KiB/s", help="For what has no limit of its own here.")
    migration: float | None = setting(None, ge=0, unit="KiB/s", help="For migrations.")
    move: float | None = setting(None, ge=0, unit="KiB/s", help="For moves of disks.")
    restore: float | None = setting(None, ge=0, unit="KiB/s", help="For restores.")


@dataclass(frozen=True, kw_only=True)
class Crs:
    ha: str | None = setting(None, choices=("basic", "static", "dynamic"), help="How a node is chosen.")
    ha_auto_rebalance: bool | None = setting(None, name="ha-auto-rebalance", help="Move guests by their load.")
    ha_auto_rebalance_hold_duration: float | None = setting(
        None, name="ha-auto-rebalance-hold-duration", ge=0, help="How long an imbalance must last."
    )
    ha_auto_rebalance_margin: float | None = setting(None, name="ha-auto-rebalance-margin", ge=0, help="Least gain.")
    ha_auto_rebalance_method: str | None = setting(
        None, name="ha-auto-rebalance-method", choices=("bruteforce", "topsis"), help="How a move is chosen."
    )
    ha_auto_rebalance_threshold: float | None = setting(
        None, name="ha-auto-rebalance-threshold", ge=0, help="From this imbalance on."
    )
    ha_rebalance_on_start: bool | None = setting(None, name="ha-rebalance-on-start", help="Choose a node at a start.")


@dataclass(frozen=True, kw_only=True)
class Ha:
    shutdown_policy: str = setting(
        choices=("freeze", "failover", "conditional", "migrate"), help="What a shutdown of the node means."
    )


@dataclass(frozen=True, kw_only=True)
class Channel:
    """How data goes from node to node."""

    type: str = setting(choices=("secure", "insecure"), default_key=True, help="Encrypted or not.")
    network: str | None = setting(None, format="CIDR", help="By which network.")


@dataclass(frozen=True, kw_only=True)
class NextId:
    lower: int | None = setting(None, help="The first number, from 100.")
    upper: int | None = setting(None, help="The number behind the last one, up to 1000000000.")


@dataclass(frozen=True, kw_only=True)
class Notify:
    fencing: str | None = setting(None, choices=("always", "never"), help="Tell of fencing.")
    package_updates: str | None = setting(
        None, name="package-updates", choices=("auto", "always", "never"), help="Tell of updates."
    )
    replication: str | None = setting(None, choices=("always", "never"), help="Tell of failed replications.")
    target_fencing: str | None = setting(None, name="target-fencing", help="Whom to tell.")
    target_package_updates: str | None = setting(None, name="target-package-updates", help="Whom to tell.")
    target_replication: str | None = setting(None, name="target-replication", help="Whom to tell.")


@dataclass(frozen=True, kw_only=True)
class TagStyle:
    """How the page shows tags."""

    case_sensitive: bool | None = setting(None, name="case-sensitive", help="Sort by case.")
    color_map: str | None = setting(None, name="color-map", pattern=rf"{_COLOR}(?:;{_COLOR})*", help="Colours of tags.")
    ordering: str | None = setting(None, choices=("config", "alphabetical"), help="Their order.")
    shape: str | None = setting(None, choices=("full", "circle", "dense", "none"), help="Their shape in the tree.")


@dataclass(frozen=True, kw_only=True)
class UserTagAccess:
    """Which tags somebody without Sys.Modify on / may set and remove."""

    user_allow: str | None = setting(
        None,
        name="user-allow",
        choices=("none", "list", "existing", "free"),
        default_text="free",
        help="None, those of the list, those too that guests have which the user sees, or any.",
    )
    user_allow_list: str | None = setting(
        None, name="user-allow-list", pattern=rf"{TAG}(?:;{TAG})*", help="The tags that may be set."
    )


@dataclass(frozen=True, kw_only=True)
class U2f:
    appid: str | None = setting(None, help="The application's id.")
    origin: str | None = setting(None, help="The page's address.")


@dataclass(frozen=True, kw_only=True)
class WebAuthn:
    """To whom security keys belong."""

    allow_subdomains: bool | None = setting(
        None, name="allow-subdomains", default_text="1", help="Also on pages below it."
    )
    id: str | None = setting(None, help="The domain that new keys belong to, on pages at or below it.")
    origin: str | None = setting(None, default_text="https://ID", help="The page's address.")
    rp: str | None = setting(None, default_text="Tarmac", help="The name that is shown.")


@dataclass(frozen=True, kw_only=True)
class TaskRetention:
    """How many ended tasks are kept, with their logs: each limit holds by itself."""

    count: int | None = setting(None, ge=100, le=1_000_000, default_text="20000", help="So many tasks.")
    days: int | None = setting(None, ge=1, le=36_500, unit="days", default_text="365", help="Tasks of so many days.")
    size: int | None = setting(None, ge=1, le=1 << 20, unit="MiB", default_text="1024", help="So much of logs.")


@dataclass(frozen=True, kw_only=True)
class Datacenter:
    bwlimit: BandwidthLimits | None = setting(None, help="Limits of clones and moves that say none.")
    consent_text: str | None = setting(None, name="consent-text", max_length=65536, help="Shown before the login.")
    console: str | None = setting(None, choices=("applet", "vv", "html5", "xtermjs"), help="The usual console.")
    crs: Crs | None = setting(None, help="How nodes are chosen. No effect yet.")
    description: str | None = setting(None, max_length=65536, help="Notes.")
    email_from: str | None = setting(None, format="email-opt", help="The sender of mails whose target names none.")
    fencing: str | None = setting(None, choices=("watchdog", "hardware", "both"), help="No effect yet.")
    ha: Ha | None = setting(None, help="High availability. No effect yet.")
    http_proxy: str | None = setting(None, pattern="http://.*", help="A proxy for downloads. No effect yet.")
    keyboard: str | None = setting(None, choices=KEYBOARDS, help="Layout of guests' VNC that name none themselves.")
    language: str | None = setting(None, choices=LANGUAGES, help="The page's language for who has chosen none.")
    mac_prefix: str | None = setting(
        None, format="mac-prefix", default_text=MAC_PREFIX, help="What new MAC addresses begin with."
    )
    max_workers: int | None = setting(None, ge=1, help="How many tasks a bulk action runs at a time.")
    migration: Channel | None = setting(None, help="How guests migrate. No effect yet.")
    migration_unsecure: bool | None = setting(None, help="The old form of migration's type.")
    next_id: NextId | None = setting(
        None, name="next-id", default_text="lower=100,upper=1000000", help="From where free numbers are taken."
    )
    notify: Notify | None = setting(None, help="Of Proxmox before its matchers. No effect.")
    registered_tags: str | None = setting(
        None, name="registered-tags", pattern=rf"(?:{TAG};)*{TAG}", help="Tags for Sys.Modify on / only."
    )
    replication: Channel | None = setting(None, help="How disks are replicated. No effect yet.")
    tag_style: TagStyle | None = setting(None, name="tag-style", help="How the page shows tags.")
    u2f: U2f | None = setting(None, help="Old second factors. No effect.")
    user_tag_access: UserTagAccess | None = setting(None, name="user-tag-access", help="Who may set which tags.")
    webauthn: WebAuthn | None = setting(None, help="To whom security keys belong.")
    task_retention: TaskRetention | None = setting(
        None, name="task-retention", help="How many ended tasks and logs are kept (Tarmac's own)."
    )


@dataclass(frozen=True, kw_only=True)
class Acme:
    account: str | None = setting(None, format="pve-configid", default_text="default", help="The account.")
    domains: str | None = setting(None, format="pve-acme-domain-list", help="Names to order for, `;` between them.")


@dataclass(frozen=True, kw_only=True)
class AcmeDomain:
    domain: str = setting(format="pve-acme-domain", default_key=True, help="The name.")
    alias: str | None = setting(None, format="pve-acme-alias", help="Where its proof is looked for.")
    plugin: str | None = setting(None, format="pve-configid", default_text="standalone", help="How it is proved.")


@dataclass(frozen=True, kw_only=True)
class WakeOnLan:
    mac: str = setting(format="mac-addr", default_key=True, help="The card to wake.")
    bind_interface: str | None = setting(None, name="bind-interface", format="pve-iface", help="Sent by this one.")
    broadcast_address: str | None = setting(None, name="broadcast-address", format="ipv4", help="Sent to there.")


@dataclass(frozen=True, kw_only=True)
class NodeConfig:
    acme: Acme | None = setting(None, help="The account that orders the certificate, and for which names.")
    acmedomain: Mapping[int, AcmeDomain] = indexed(6, help="A name to order a certificate for.")
    ballooning_target: int | None = setting(
        None, name="ballooning-target", ge=0, le=100, unit="%", default_text="80", help="No effect yet."
    )
    description: str | None = setting(None, max_length=65536, help="Notes.")
    startall_onboot_delay: int | None = setting(
        None, name="startall-onboot-delay", ge=0, le=300, unit="s", default_text="0", help="Before the first start."
    )
    wakeonlan: WakeOnLan | None = setting(None, help="How this node is woken. No effect yet.")


def id_range(options: Datacenter) -> tuple[int, int]:
    """The first number to give to a guest, and the one behind the last."""
    chosen = options.next_id or NextId()
    return (
        FIRST_ID if chosen.lower is None else max(FIRST_ID, chosen.lower),
        LAST_ID if chosen.upper is None else min(1_000_000_000, chosen.upper),
    )


def bandwidth(options: Datacenter, work: str) -> int:
    """KiB/s for a kind of work (a field of `BandwidthLimits`) whose caller names no limit; 0 for none."""
    limits = options.bwlimit or BandwidthLimits()
    chosen = getattr(limits, work)
    return int((limits.default if chosen is None else chosen) or 0)


def check_datacenter(options: Datacenter) -> dict[str, str]:
    """What is wrong with options that are each right by themselves, by key."""
    low, high = id_range(options)
    if low > high:
        return {"next-id": f"lower ({low}) <= upper ({high}) boundary rule broken"}
    problem = _webauthn_problem(options.webauthn or WebAuthn())
    return {"webauthn": problem} if problem else {}


def _webauthn_problem(option: WebAuthn) -> str:
    if option.id is not None and (not _DOMAIN.fullmatch(option.id) or option.id.rpartition(".")[2].isdecimal()):
        return f"id: '{option.id}' is no domain: a name in small letters, without port, no address"
    if option.origin is None:
        return ""
    page = urlsplit(option.origin)
    host = page.hostname or ""
    if (page.scheme != "https" and (page.scheme, host) != ("http", "localhost")) or page.path or page.query:
        return f"origin: '{option.origin}' is no address of a page: https://NAME, with a port where it has one"
    if option.id is None:
        return "origin: it needs id, the domain that keys belong to"
    if host != option.id and not host.endswith(f".{option.id}"):
        return f"origin: '{host}' is not at or below the domain '{option.id}', so browsers would refuse it"
    return ""


def tags_of(text: str | None) -> list[str]:
    """The tags of a list with `;` between them."""
    return [tag for tag in (text or "").split(";") if tag]
