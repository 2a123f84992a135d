"""Realms: where users come from and who knows their passwords. Options and which type has which.

Source: PVE::Auth::Plugin, ::OpenId, ::LDAP, ::AD and PVE::API2::Domains of Proxmox VE 9.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tarmac.model.formats import FORMATS, register
from tarmac.model.parse import parse_property_string, parse_value, split_property_string
from tarmac.model.settings import setting, settings_by_name

PAM, PVE, OPENID, LDAP, AD = "pam", "pve", "openid", "ldap", "ad"
TYPES = (AD, LDAP, OPENID, PAM, PVE)
BUILTIN: Mapping[str, str] = {PAM: "Users of this machine (PAM)", PVE: "Users of this platform"}
"""The realms that always are, with the comments they have from the start."""

USER_CLASSES = "inetorgperson, posixaccount, person, user"
GROUP_CLASSES = "groupOfNames, group, univentionGroup, ipausergroup"
REMOVE_VANISHED = r"(?:(?:(?:acl|properties|entry);)*(?:acl|properties|entry))|none"
_ATTRIBUTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9;-]*", re.ASCII)


@register("ldap-simple-attr")
def _attribute(text: str) -> None:
    if not _ATTRIBUTE.fullmatch(text):
        raise ValueError(f"value '{text[:60]}' does not look like a simple ldap attribute name")


@register("ldap-simple-attr-list")
def _attributes(text: str) -> None:
    for word in re.split(r"[,;\s]+", text.strip()):
        _attribute(word)


@dataclass(frozen=True, kw_only=True)
class SyncDefaults:
    """What a synchronization does where its call does not say (`sync-defaults-options`)."""

    enable_new: bool = setting(True, name="enable-new", help="New users may log in at once.")
    full: bool | None = setting(None, help="Older form of remove-vanished=entry;properties.")
    purge: bool | None = setting(None, help="Older form of remove-vanished=acl.")
    remove_vanished: str | None = setting(
        None, name="remove-vanished", pattern=REMOVE_VANISHED, help="What goes with those who are no longer there."
    )
    scope: str | None = setting(None, choices=("users", "groups", "both"), help="What is synchronized.")


@register("realm-sync-options")
def _sync_options(text: str) -> None:
    parse_property_string(SyncDefaults, text)


@dataclass(frozen=True, kw_only=True)
class RealmTfa:
    """A second factor that every user of a realm must have."""

    type: str = setting(choices=("yubico", "oath"), help="Its kind; `oath` is built.")
    step: int | None = setting(None, ge=10, help="oath: the time step.", unit="s")
    digits: int | None = setting(None, ge=6, le=8, help="oath: how many digits a code has.")
    id: str | None = setting(None, help="yubico: the client's id.")
    key: str | None = setting(None, help="yubico: the client's key.")
    url: str | None = setting(None, help="yubico: the server.")


@register("pve-tfa-config")
def _tfa(text: str) -> None:
    if split_property_string(RealmTfa, text).get("type") == "yubico":
        raise ValueError("this version has no second factors of type yubico; it has oath")
    parse_property_string(RealmTfa, text)


def _scheme(text: str) -> None:
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", text):
        raise ValueError("value is not an http or https URL")


FORMATS["issuer-url"] = _scheme


@dataclass(frozen=True, kw_only=True)
class RealmChanges:
    """The options of all types that can be changed; `KEYS` says which type has which."""

    comment: str | None = setting(None, max_length=4096, help="For people.")
    default: bool = setting(False, help="The login form proposes this realm.")
    tfa: str | None = setting(None, max_length=128, format="pve-tfa-config", help="What every user's login needs.")
    # OpenID Connect
    issuer_url: str | None = setting(
        None, name="issuer-url", max_length=256, format="issuer-url", help="openid: the provider's address."
    )
    client_id: str | None = setting(None, name="client-id", max_length=256, help="openid: our name at the provider.")
    client_key: str | None = setting(
        None, name="client-key", max_length=256, secret=True, help="openid: our secret at the provider."
    )
    autocreate: bool = setting(False, help="openid: who logs in for the first time becomes a user.")
    groups_claim: str | None = setting(
        None,
        name="groups-claim",
        max_length=256,
        pattern=r"[A-Za-z0-9.\-_]+",
        help="openid: the claim that names the user's groups; here they are called NAME-REALM.",
    )
    groups_autocreate: bool = setting(False, name="groups-autocreate", help="openid: groups that lack are made.")
    groups_overwrite: bool = setting(
        False, name="groups-overwrite", help="openid: at a login, the claim's groups replace the user's."
    )
    prompt: str | None = setting(
        None, pattern=r"none|login|consent|select_account|\S+", help="openid: what the provider asks the user."
    )
    scopes: str = setting("email profile", help="openid: what is asked for beside `openid`.")
    acr_values: str | None = setting(
        None, name="acr-values", pattern=r'[^\x00-\x1F\x7F <>#"]*', help="openid: how the user should be authenticated."
    )
    query_userinfo: bool = setting(True, name="query-userinfo", help="openid: ask the userinfo page for claims, too.")
    # LDAP and Active Directory
    server1: str | None = setting(None, max_length=256, format="address", help="ldap, ad: the server.")
    server2: str | None = setting(
        None, max_length=256, format="address", help="ldap, ad: asked when the first is away."
    )
    port: int | None = setting(None, ge=1, le=65535, default_text="389, or 636 for ldaps", help="ldap, ad: its port.")
    mode: str | None = setting(
        None, choices=("ldap", "ldaps", "ldap+starttls"), default_text="ldap", help="ldap, ad: how it is protected."
    )
    secure: bool | None = setting(None, help="ldap, ad: older form of mode=ldaps.")
    verify: bool = setting(False, help="ldap, ad: the server's certificate is checked.")
    capath: str = setting("/etc/ssl/certs", help="ldap, ad: a file or directory of authorities that are trusted.")
    cert: str | None = setting(None, help="ldap, ad: a file with a certificate of ours.")
    certkey: str | None = setting(None, help="ldap, ad: the file of its key.")
    sslversion: str | None = setting(
        None,
        choices=("tlsv1", "tlsv1_1", "tlsv1_2", "tlsv1_3"),
        default_text="tlsv1_2",
        help="ldap, ad: the oldest TLS version that is spoken.",
    )
    base_dn: str | None = setting(None, max_length=256, help="ldap, ad: below which users are.")
    bind_dn: str | None = setting(None, max_length=256, help="ldap, ad: who we are at the server; else nobody.")
    password: str | None = setting(None, secret=True, help="ldap, ad: the password of bind_dn.")
    user_attr: str | None = setting(
        None, max_length=256, pattern=r"\S{2,}", default_text="ad: sAMAccountName", help="ldap, ad: the user's name."
    )
    domain: str | None = setting(None, max_length=256, pattern=r"\S+", help="ad: the domain.")
    case_sensitive: bool = setting(True, name="case-sensitive", help="ldap, ad: `Ann` and `ann` are two users.")
    check_connection: bool = setting(
        False, name="check-connection", help="ldap, ad: try to log in at the server before anything is kept."
    )
    filter: str | None = setting(None, max_length=2048, help="ldap, ad: which users are synchronized.")
    user_classes: str = setting(USER_CLASSES, format="ldap-simple-attr-list", help="ldap, ad: classes of users.")
    sync_attributes: str | None = setting(
        None, pattern=r"\w+=[^,]+(,\s*\w+=[^,]+)*", help="ldap, ad: which attribute is which field: `email=mail`."
    )
    group_dn: str | None = setting(None, max_length=256, default_text="base_dn", help="ldap, ad: where groups are.")
    group_name_attr: str | None = setting(
        None, max_length=256, format="ldap-simple-attr", default_text="cn", help="ldap, ad: a group's name."
    )
    group_filter: str | None = setting(None, max_length=2048, help="ldap, ad: which groups are synchronized.")
    group_classes: str = setting(GROUP_CLASSES, format="ldap-simple-attr-list", help="ldap, ad: classes of groups.")
    sync_defaults_options: str | None = setting(
        None, name="sync-defaults-options", format="realm-sync-options", help="ldap, ad: what a synchronization does."
    )


@dataclass(frozen=True, kw_only=True)
class RealmOptions(RealmChanges):
    """All options of all types."""

    username_claim: str | None = setting(
        None,
        name="username-claim",
        default_text="subject",
        help="openid: what is the user's name: `subject`, `username`, `email`, `upn` or another claim; set once.",
    )

    @property
    def sync_defaults(self) -> SyncDefaults:
        return parse_property_string(SyncDefaults, self.sync_defaults_options or "")

    @property
    def how(self) -> str:
        """ldap, ad: the connection's protection, whichever way it was said."""
        return self.mode or ("ldaps" if self.secure else "ldap")


COMMON = frozenset({"comment", "default"})
_OPENID = frozenset(
    [
        "issuer-url",
        "client-id",
        "client-key",
        "username-claim",
        "autocreate",
        "groups-claim",
        "groups-autocreate",
        "groups-overwrite",
        "prompt",
        "scopes",
        "acr-values",
        "query-userinfo",
    ]
)
_DIRECTORY = frozenset(
    [
        "tfa",
        "server1",
        "server2",
        "port",
        "mode",
        "secure",
        "verify",
        "capath",
        "cert",
        "certkey",
        "sslversion",
        "base_dn",
        "bind_dn",
        "password",
        "user_attr",
        "case-sensitive",
        "check-connection",
        "filter",
        "user_classes",
        "sync_attributes",
        "group_dn",
        "group_name_attr",
        "group_filter",
        "group_classes",
        "sync-defaults-options",
    ]
)
KEYS: Mapping[str, frozenset[str]] = {
    PAM: COMMON | {"tfa"},
    PVE: COMMON | {"tfa"},
    OPENID: COMMON | _OPENID,
    LDAP: COMMON | _DIRECTORY,
    AD: COMMON | _DIRECTORY | {"domain"},
}
REQUIRED: Mapping[str, tuple[str, ...]] = {
    OPENID: ("issuer-url", "client-id"),
    LDAP: ("server1", "base_dn", "user_attr"),
    AD: ("server1", "domain"),
}
FIXED = frozenset({"username-claim"})
FIELDS = ("enable", "expire", "firstname", "lastname", "email", "comment", "keys")
"""What `sync_attributes` may give a user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Realm:
    """A realm as it is kept: its options as texts, without secrets."""

    realm: str
    type: str
    texts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RealmSecret:
    """The secret options of a realm; never in a reply, a log or the history."""

    texts: dict[str, str] = field(default_factory=dict)


def sync_attributes(text: str) -> dict[str, str]:
    """`email=mail, firstname=givenName` as a mapping. Raises ValueError for a field that a user does not have."""
    found = {}
    for part in text.split(",") if text else ():
        name, _, attribute = part.strip().partition("=")
        if name not in FIELDS:
            raise ValueError(f"'{name}' is no field of a user; there are {', '.join(FIELDS)}")
        _attribute(attribute.strip())
        found[name] = attribute.strip()
    return found


def problems_of(kind: str, options: RealmOptions, texts: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with a realm's options as a whole, by option."""
    allowed = KEYS[kind]
    found: dict[str, str] = {
        key: f"unexpected property '{key}': realms of type {kind} do not have it" for key in texts if key not in allowed
    }
    found |= {key: "property is missing and it is not optional" for key in REQUIRED.get(kind, ()) if not texts.get(key)}
    for key in ("cert", "certkey", "capath"):
        if key in texts and not texts[key].startswith("/"):
            found[key] = "value is not an absolute path"
    if bool(options.cert) != bool(options.certkey):
        found["certkey" if options.cert else "cert"] = "cert and certkey belong together"
    if options.bind_dn and not options.password:
        found["password"] = "bind_dn needs its password: without one a server would take us for nobody"
    try:
        sync_attributes(options.sync_attributes or "")
    except ValueError as problem:
        found["sync_attributes"] = str(problem)
    if options.user_attr and not _ATTRIBUTE.fullmatch(options.user_attr):
        found["user_attr"] = f"value '{options.user_attr[:60]}' does not look like a simple ldap attribute name"
    for key in ("filter", "group_filter"):
        text = texts.get(key, "")
        if text and not balanced(text):
            found[key] = "value is not a search filter: its brackets do not fit together"
    return found


def balanced(text: str) -> bool:
    """Whether a search filter's brackets fit together: so it cannot reach out of the filter that it becomes part of."""
    depth = 0
    inner = text.strip()
    inner = inner if inner.startswith("(") else f"({inner})"
    for position, letter in enumerate(inner):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth < 0 or (depth == 0 and position < len(inner) - 1):
            return False
    return depth == 0


def shown(options: RealmOptions, texts: Mapping[str, str]) -> dict[str, Any]:
    """The options that were set, typed, as a reply has them."""
    by_name = settings_by_name(type(options))
    return {key: parse_value(by_name[key], text) for key, text in sorted(texts.items()) if key in by_name}
