"""A provider of OpenID Connect, as its client sees it: discovery, codes for tokens, tokens checked, userinfo.

What comes from a provider is bounded (size, time, no redirects) and checked before it counts: the issuer is the one
that was asked for, tokens are signed by its keys with a public-key algorithm, for us, now, and for this very login.
Signatures and claims are joserfc's work. Source: OpenID Connect Core 1.0 and Discovery 1.0; RFC 7636 (PKCE).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet
from joserfc.jws import JWSRegistry

from tarmac.model.errors import Fix, HostFailure, LoginFailed, TarmacError, Unavailable
from tarmac.model.realms import RealmOptions

SECONDS = 10.0
MOST_BYTES = 512 * 1024
KEPT_SECONDS = 600.0
FAILED_SECONDS = 5.0
AGAIN_SECONDS = 15.0
LEEWAY = 60
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
"""Public-key algorithms only: with a shared secret, whoever reads the realm's secret could make tokens."""
_WANTED = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What a provider says of itself, and when (monotonic)."""

    issuer: str
    authorization: str
    token: str
    keys: str
    userinfo: str
    methods: tuple[str, ...]
    read: float


class Provider:
    """One issuer. `clock` tells seconds since 1970."""

    def __init__(self, issuer: str, *, clock: Callable[[], float] = time.time) -> None:
        self.issuer = issuer
        self._clock = clock
        self._lock = asyncio.Lock()
        self._metadata: Metadata | None = None
        self._failed: tuple[float, TarmacError] | None = None
        self._keys: KeySet | None = None
        self._keys_read = float("-inf")

    async def address(self, options: RealmOptions, *, redirect: str, state: str, nonce: str, verifier: str) -> str:
        """Where the user's browser goes to log in. Raises Unavailable, HostFailure."""
        metadata = await self.metadata()
        words = ["openid", *(word for word in options.scopes.replace(",", " ").split() if word != "openid")]
        query = {
            "response_type": "code",
            "client_id": options.client_id or "",
            "redirect_uri": redirect,
            "scope": " ".join(words),
            "state": state,
            "nonce": nonce,
            "code_challenge": _base64(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
            **({"prompt": options.prompt} if options.prompt else {}),
            **({"acr_values": options.acr_values} if options.acr_values else {}),
        }
        between = "&" if urlsplit(metadata.authorization).query else "?"
        return f"{metadata.authorization}{between}{urlencode(query, quote_via=quote)}"

    async def claims(
        self, options: RealmOptions, *, code: str, redirect: str, nonce: str, verifier: str
    ) -> dict[str, Any]:
        """What the provider says of the user who came back with `code`.

        Raises LoginFailed when the provider refuses the code or a token is not good, Unavailable, HostFailure."""
        metadata = await self.metadata()
        tokens = await self._redeem(metadata, options, code, redirect, verifier)
        if not isinstance(tokens.get("id_token"), str):
            raise _refused("openid-no-token", "the provider gave no ID token", f"it gave {sorted(tokens)}")
        claims = await self._verified(metadata, options, tokens["id_token"], nonce)
        access = tokens.get("access_token")
        if options.query_userinfo and metadata.userinfo and isinstance(access, str):
            more = await self._ask("GET", metadata.userinfo, headers={"Authorization": f"Bearer {access}"})
            if more.get("sub") != claims["sub"]:
                raise _refused(
                    "openid-other-user", "the userinfo page speaks of another user", f"sub is {more.get('sub')!r}"
                )
            claims = {**more, **claims}
        return claims

    async def metadata(self) -> Metadata:
        """What the provider says of itself; kept for ten minutes, a failure for five seconds: of many who ask while it
        is away, one waits for it. Raises Unavailable, HostFailure."""
        async with self._lock:
            known = self._metadata
            if known is not None and time.monotonic() - known.read < KEPT_SECONDS:
                return known
            if self._failed is not None and time.monotonic() - self._failed[0] < FAILED_SECONDS:
                raise self._failed[1].with_traceback(None)
            address = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
            try:
                self._metadata = self._read(await self._ask("GET", address), address)
            except TarmacError as problem:
                self._failed = (time.monotonic(), problem)
                raise
            self._failed = None
            return self._metadata

    def _read(self, told: Mapping[str, Any], address: str) -> Metadata:
        missing = [name for name in _WANTED if not isinstance(told.get(name), str)]
        if missing:
            raise _broken(f"its configuration lacks {', '.join(missing)}", address)
        if told["issuer"].rstrip("/") != self.issuer.rstrip("/"):
            raise _broken(f"it calls itself {told['issuer'][:200]}, not {self.issuer}", address, "set that issuer-url")
        userinfo = told.get("userinfo_endpoint") or ""
        for place in (*(told[name] for name in _WANTED[1:]), *([userinfo] if userinfo else [])):
            scheme = urlsplit(str(place)).scheme
            if scheme not in ("http", "https") or (scheme == "http" and self.issuer.startswith("https:")):
                raise _broken(f"it names the address {str(place)[:200]}, which is not protected as it is", address)
        methods = told.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        return Metadata(
            issuer=told["issuer"],
            authorization=told["authorization_endpoint"],
            token=told["token_endpoint"],
            keys=told["jwks_uri"],
            userinfo=userinfo,
            methods=tuple(map(str, methods)) if isinstance(methods, list) else (),
            read=time.monotonic(),
        )

    async def _redeem(
        self, metadata: Metadata, options: RealmOptions, code: str, redirect: str, verifier: str
    ) -> dict[str, Any]:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier}
        name, key, headers = options.client_id or "", options.client_key, {}
        if key and ("client_secret_basic" in metadata.methods or "client_secret_post" not in metadata.methods):
            pair = f"{quote(name, safe='')}:{quote(key, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": name, **({"client_secret": key} if key else {})}
        return await self._ask("POST", metadata.token, headers=headers, form=form, refusing=True)

    async def _verified(self, metadata: Metadata, options: RealmOptions, text: str, nonce: str) -> dict[str, Any]:
        """The claims of an ID token that is good. Raises LoginFailed."""
        try:
            token = await self._decoded(metadata, text)
            told = jwt.JWTClaimsRegistry(
                now=lambda: int(self._clock()),
                leeway=LEEWAY,
                iss={"essential": True, "value": metadata.issuer},
                aud={"essential": True, "value": options.client_id or ""},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            )
            claims = dict(token.claims)
            told.validate(claims)
        except (JoseError, ValueError) as problem:
            raise _refused("openid-bad-token", "the provider's ID token is not good", _words(problem)) from None
        audience = claims["aud"]
        if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != options.client_id:
            raise _refused("openid-bad-token", "the ID token was made for somebody else", f"azp {claims.get('azp')!r}")
        return claims

    async def _decoded(self, metadata: Metadata, text: str) -> jwt.Token:
        registry = JWSRegistry(algorithms=list(ALGORITHMS))
        keys = await self._known_keys(metadata)
        try:
            return jwt.decode(text, keys, algorithms=list(ALGORITHMS), registry=registry)
        except (JoseError, ValueError):
            # The provider may have changed its keys; once in a while that is looked up.
            if time.monotonic() - self._keys_read < AGAIN_SECONDS:
                raise
            return jwt.decode(
                text, await self._known_keys(metadata, again=True), algorithms=list(ALGORITHMS), registry=registry
            )

    async def _known_keys(self, metadata: Metadata, *, again: bool = False) -> KeySet:
        async with self._lock:
            fresh = time.monotonic() - self._keys_read < (AGAIN_SECONDS if again else KEPT_SECONDS)
            if self._keys is None or not fresh:
                told = await self._ask("GET", metadata.keys)
                usable = _usable(told.get("keys"))
                if not usable:
                    raise _broken("it names no key that can sign tokens", metadata.keys)
                self._keys, self._keys_read = KeySet(usable), time.monotonic()
            return self._keys

    async def _ask(
        self,
        method: str,
        address: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        refusing: bool = False,
    ) -> dict[str, Any]:
        """One JSON object from the provider; with `refusing` a 4xx is its refusal of this login."""
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        told = {"Accept": "application/json", "User-Agent": "tarmac", **(headers or {})}
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
                session.request(method, address, headers=told, data=form, allow_redirects=False) as response,
            ):
                raw = await _bounded(response)
        except TimeoutError:
            raise _away(address, f"it did not answer within {SECONDS:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            raise _away(address, str(problem)[:300] or type(problem).__name__) from None
        if raw is None:
            raise _broken(f"an answer has more than {MOST_BYTES // 1024} KiB", address)
        return _object(raw, response.status, address, refusing)


async def _bounded(response: aiohttp.ClientResponse) -> bytes | None:
    """A whole body; None when it is too long."""
    found = bytearray()
    async for chunk in response.content.iter_any():
        found += chunk
        if len(found) > MOST_BYTES:
            return None
    return bytes(found)


def _object(raw: bytes, status: int, address: str, refusing: bool) -> dict[str, Any]:
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError):
        told = None
    if refusing and 400 <= status < 500:
        words = told if isinstance(told, dict) else {}
        said = f"{words.get('error', status)}: {words.get('error_description', '')}"[:300]
        raise _refused("openid-refused", "the provider does not take the code (it is good once, and soon old)", said)
    if status != 200 or not isinstance(told, dict):
        raise _broken(f"it answered {status}" if status != 200 else "its answer is no JSON object", address)
    return told


def _usable(told: Any) -> list[Key]:
    """The public keys for signatures; those of kinds that nobody here knows are left out."""
    found = []
    for one in told if isinstance(told, list) else ():
        if isinstance(one, dict) and one.get("use", "sig") == "sig" and one.get("kty") != "oct":
            try:
                found.append(JWKRegistry.import_key(one))
            except (JoseError, ValueError, KeyError, TypeError):
                continue
    return found


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _words(problem: BaseException) -> str:
    return str(problem)[:300] or type(problem).__name__


def _refused(code: str, cause: str, evidence: str) -> LoginFailed:
    return LoginFailed(
        "authentication failure", code=code, cause=cause, evidence=evidence, fixes=[Fix(text="log in again")]
    )


def _away(address: str, why: str) -> TarmacError:
    return Unavailable(
        "the OpenID provider does not answer",
        code="openid-unreachable",
        cause=why,
        evidence=address,
        fixes=[Fix(text="see whether it is up and its certificate is trusted; log in by another realm meanwhile")],
    )


def _broken(why: str, address: str, remedy: str = "check the realm's issuer-url") -> HostFailure:
    return HostFailure(
        "the OpenID provider's answer cannot be used",
        code="openid-broken",
        cause=why,
        evidence=address,
        fixes=[Fix(text=remedy)],
    )
