"""Fetching from addresses that somebody else chose, without becoming their hand inside this network.

Each host is resolved once, every address is judged, and the connection goes to a judged address, so a name that
changes between the look and the connection gains nothing. Redirects are followed one by one, each judged anew.
Refused: loopback, link-local, multicast, unspecified and reserved addresses, and this machine's own, also where an
IPv6 address only wraps such an IPv4 address, unless the administrator named the host.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import aiohttp
import psutil
from aiohttp.abc import AbstractResolver, ResolveResult

from tarmac.model.errors import Denied, Fix, HostFailure, InvalidInput, TarmacError, Unavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRules:
    """`allowed`: hosts (as they stand in URLs) that are not judged; `connect` and `stall`: seconds for a connection
    and between two pieces; `redirects`: how many are followed."""

    allowed: frozenset[str] = frozenset()
    connect: float = 15.0
    stall: float = 60.0
    redirects: int = 8
    verify: bool = True


def own_addresses() -> frozenset[str]:
    """All addresses of this machine's interfaces."""
    found = [a.address.partition("%")[0] for rows in psutil.net_if_addrs().values() for a in rows]
    return frozenset(text for text in found if ":" in text or text.count(".") == 3)


def objection(text: str, own: Collection[str]) -> str | None:
    """Why nothing is fetched from this address, None when it may be."""
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    inner = _inner(address)
    if inner is not None and (why := objection(str(inner), own)) is not None:
        return why
    if str(address) in own:
        return "it is this machine's own"
    for name in ("loopback", "link_local", "multicast", "unspecified", "reserved"):
        if getattr(address, f"is_{name}"):
            return f"it is a {name.replace('_', '-')} address"
    return None


def _inner(address: Address) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


class _JudgedResolver(AbstractResolver):
    """Resolves a name and answers only when every address may be used."""

    def __init__(self, judge: Callable[[str, str], None]) -> None:
        self._judge = judge

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        found: list[ResolveResult] = []
        for kind, _, proto, _, sockaddr in infos:
            address = str(sockaddr[0])
            self._judge(host, address)
            found.append(
                ResolveResult(
                    hostname=host, host=address, port=port, family=kind, proto=proto, flags=socket.AI_NUMERICHOST
                )
            )
        return found

    async def close(self) -> None:
        pass


class _Refused(OSError):
    """Carries the refusal through aiohttp, which lets only OSErrors out of a resolver."""

    def __init__(self, problem: TarmacError) -> None:
        super().__init__(problem.message)
        self.problem = problem


@asynccontextmanager
async def fetch(
    url: str,
    rules: FetchRules,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    own: Callable[[], Collection[str]] = own_addresses,
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The answer to a request, redirects followed, its body not yet read and not decoded. With `headers` and `body`
    allow no redirects: they are not meant for others.

    Raises InvalidInput (no http URL), Denied (`address-refused`), HostFailure (a status of 400 and more, TLS),
    Unavailable (no connection, no answer in time)."""
    addresses = await asyncio.to_thread(own)

    def judge(host: str, address: str) -> None:
        if host not in rules.allowed and (why := objection(address, addresses)) is not None:
            raise _Refused(_refusal(host, address, why))

    connector = aiohttp.TCPConnector(
        resolver=_JudgedResolver(judge),
        use_dns_cache=False,
        ssl=ssl.create_default_context() if rules.verify else False,
        force_close=True,
    )
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=rules.connect, sock_read=rules.stall)
    headers = {"Accept-Encoding": "identity", "User-Agent": "tarmac", **(headers or {})}
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, headers=headers, auto_decompress=False, trust_env=False
    ) as session:
        with translated(url):
            response = await _follow(session, method, url, rules, judge, body)
        try:
            yield response
        finally:
            response.close()


async def _follow(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    rules: FetchRules,
    judge: Callable[[str, str], None],
    body: bytes | None,
) -> aiohttp.ClientResponse:
    for _ in range(rules.redirects + 1):
        host = _host_of(url)
        try:
            judge(host, str(ipaddress.ip_address(host)))  # a literal address is never given to the resolver
        except ValueError:
            pass
        response = await session.request(method, url, allow_redirects=False, data=body)
        if response.status not in _REDIRECTS or "Location" not in response.headers:
            if response.status >= 400:
                status, reason = response.status, response.reason
                response.close()
                raise HostFailure(
                    f"download failed: {status} {reason}",
                    code="download-status",
                    cause="the server refused it",
                    evidence=f"{method} {url}: {status} {reason}",
                )
            return response
        url = urljoin(url, response.headers["Location"])
        response.close()
    raise HostFailure(
        "download failed: too many redirects",
        code="download-redirects",
        cause=f"the server sent more than {rules.redirects} redirects",
        evidence=url,
    )


def _host_of(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise InvalidInput.of("url", "value is not an http or https URL", code="url")
    return host


def _refusal(host: str, address: str, why: str) -> Denied:
    return Denied(
        f"downloads from '{host}' are not allowed",
        code="address-refused",
        cause=f"{host} is the address {address}: {why}",
        evidence=address,
        fixes=[Fix(text=f"an administrator can allow it: add {host} to the storage's download-hosts")],
    )


class translated:  # noqa: N801 - reads as a statement
    """A context in which aiohttp's errors become ours."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, TarmacError):
            return
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, _Refused):
                raise cause.problem from None
            cause = cause.__cause__ or cause.__context__ or getattr(cause, "os_error", None)
        if isinstance(error, aiohttp.InvalidURL):
            raise InvalidInput.of("url", f"value is not a usable URL ({error})", code="url") from None
        if isinstance(error, aiohttp.ClientSSLError):
            raise _failed(self._url, "the server's certificate is not trusted", error) from error
        if isinstance(error, aiohttp.ClientPayloadError):
            raise _failed(self._url, "the connection ended before the file did", error) from error
        if isinstance(error, TimeoutError):
            raise Unavailable(
                "download failed: the server stopped answering",
                code="download-stalled",
                cause="nothing came in for too long",
                evidence=self._url,
            ) from error
        if isinstance(error, (aiohttp.ClientError, OSError)):
            raise Unavailable(
                "download failed: no connection",
                code="download-connection",
                cause=str(error) or type(error).__name__,
                evidence=self._url,
            ) from error


def _failed(url: str, cause: str, error: BaseException) -> HostFailure:
    return HostFailure(
        f"download failed: {cause}", code="download-broken", cause=cause, evidence=f"{url}: {error}"[:500]
    )
