"""LDAP and Active Directory, by OpenLDAP's own `ldapsearch` (Debian: ldap-utils): a process for each question.

Why a process: a server that hangs is a process that is killed, so nothing of the daemon waits for it, and neither a C
extension nor an unkept library is needed. Passwords reach it through a file in memory, never by arguments or the
environment. An empty password is never sent: servers take it for "nobody" and say yes (RFC 4513, 5.1.2).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tarmac.lib.files import read_bounded
from tarmac.lib.process import Finished, run
from tarmac.model.errors import Fix, HostFailure, InvalidInput, Unavailable
from tarmac.model.realms import AD, RealmOptions

CONNECT_SECONDS, BIND_SECONDS, SEARCH_SECONDS = 4, 8.0, 300.0
PAGE = 500
MOST_BYTES = 64 * 1024 * 1024
MOST_AUTHORITIES = 4 * 1024 * 1024
_TLS = {"tlsv1": "3.1", "tlsv1_1": "3.2", "tlsv1_2": "3.3", "tlsv1_3": "3.4"}
_CODE = re.compile(r"\((-?\d+)\)")
_NO = frozenset({32, 48, 49, 50, 53})
"""Results of a bind that mean no: no such object, inappropriate authentication, invalid credentials, insufficient
access, unwilling to perform."""
_UNREACHABLE = frozenset({-1, -11, -5, 51, 52, 80})
"""Results that another server may not have: no contact, TLS, time-out; busy, unavailable, other."""
SUBTREE, BASE = "sub", "base"


@dataclass(frozen=True, slots=True)
class Entry:
    """One object: its name and its attributes, by lower-case names."""

    dn: str
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def first(self, attribute: str) -> str:
        """The first value of an attribute; empty if it has none."""
        return next(iter(self.attributes.get(attribute.lower(), ())), "")


def escape(text: str) -> str:
    """A text as it may stand as a value in a search filter (RFC 4515): whatever it holds, it is only a value."""
    return "".join(f"\\{byte:02x}" if chr(byte) in "\0()*\\" or byte > 126 else chr(byte) for byte in text.encode())


class Directory:
    """One realm's servers. Each question goes to `server1`, and to `server2` where the first is away or hangs.

    Raises Unavailable (`ldap-unreachable`) when no server answers in time, HostFailure (`ldap-failed`) when one says
    that it cannot, `tool-missing` without ldap-utils."""

    def __init__(self, kind: str, options: RealmOptions) -> None:
        self._kind = kind
        self._options = options

    async def fits(self, name: str, password: str) -> bool:
        """Whether it is the user's password. False for an unknown user, one that is there twice, no password."""
        if not name or not password or "\0" in name + password:
            return False
        if self._kind == AD:
            domain = self._options.domain
            return await self._binds(name if "@" in name or not domain else f"{name}@{domain}", password)
        assert self._options.user_attr is not None
        found = await self.search(
            self._options.base_dn or "", f"({self._options.user_attr}={escape(name)})", ["1.1"], seconds=BIND_SECONDS
        )
        return len(found) == 1 and bool(found[0].dn) and await self._binds(found[0].dn, password)

    async def base(self) -> str:
        """Below which everything is: as configured, else what the server says (Active Directory)."""
        if self._options.base_dn:
            return self._options.base_dn
        found = await self.search("", "(objectClass=*)", ["defaultNamingContext"], scope=BASE, seconds=BIND_SECONDS)
        base = found[0].first("defaultNamingContext") if found else ""
        if not base:
            raise HostFailure(
                "the LDAP server does not say where its users are",
                code="ldap-failed",
                cause="its root entry has no defaultNamingContext",
                evidence=self._options.server1 or "",
                fixes=[Fix(text="set base_dn")],
            )
        return base

    async def check(self) -> None:
        """Connect and log in as the realm does. Raises what that meets, Unavailable and HostFailure among it."""
        await self.search(self._options.base_dn or "", "(objectClass=*)", ["1.1"], scope=BASE, seconds=BIND_SECONDS)

    async def search(
        self,
        base: str,
        filter: str,
        attributes: Sequence[str],
        *,
        scope: str = SUBTREE,
        seconds: float = SEARCH_SECONDS,
    ) -> list[Entry]:
        """All objects below `base` that fit. `seconds` is for each server."""
        words = ["-b", base, "-s", scope, *(["-E", f"pr={PAGE}/noprompt"] if scope == SUBTREE else [])]
        who, password = self._options.bind_dn or "", self._options.password or ""
        done = await self._ask([*words, filter, *attributes], who, password, seconds)
        if done.code != 0:
            raise _failed(done)
        if done.truncated:
            raise HostFailure(
                "the LDAP server has too much to say",
                code="ldap-too-much",
                cause=f"an answer may have {MOST_BYTES // 1024**2} MiB",
                evidence=f"{filter} below {base}",
                fixes=[Fix(text="narrow filter or base_dn")],
            )
        # A large directory takes seconds to read.
        return await asyncio.to_thread(lambda: list(parse_ldif(done.stdout.decode("utf-8", "replace"))))

    async def _binds(self, dn: str, password: str) -> bool:
        done = await self._ask(["-b", "", "-s", BASE, "(objectClass=*)", "1.1"], dn, password, BIND_SECONDS)
        if done.code == 0 or not done.error_text.startswith("ldap_bind:"):
            if done.code == 0:
                return True
            raise _failed(done)
        if _code(done) in _NO:
            return False
        raise _failed(done)

    async def _ask(self, words: Sequence[str], dn: str, password: str, seconds: float) -> Finished:
        """One question to the first server that answers it."""
        if dn and not password:
            raise InvalidInput.of("password", "an empty password is never sent to an LDAP server")
        last = ""
        for server in filter(None, (self._options.server1, self._options.server2)):
            address = self._address(server)
            try:
                async with asyncio.timeout(seconds):
                    done = await self._run(address, words, dn, password)
            except TimeoutError:
                last = f"{address} did not answer within {seconds:g} s"
                continue
            if done.code == 0 or _code(done) not in _UNREACHABLE:
                return done
            last = f"{address}: {done.error_text[-500:]}"
        raise Unavailable(
            "the LDAP server does not answer",
            code="ldap-unreachable",
            cause="no server of the realm could be reached, or its certificate is not trusted",
            evidence=last,
            fixes=[Fix(text="check server1, server2, port, mode and, with verify, capath; is the server up?")],
        )

    async def _run(self, address: str, words: Sequence[str], dn: str, password: str) -> Finished:
        options = self._options
        argv = ["ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-o", f"nettimeout={CONNECT_SECONDS}", "-H", address]
        env = {
            "LDAPTLS_REQCERT": "demand" if options.verify else "never",
            "LDAPTLS_PROTOCOL_MIN": _TLS[options.sslversion or "tlsv1_2"],
            "HOME": "/",
        }
        with contextlib.ExitStack() as stack:
            fds = []
            if options.how == "ldap+starttls":
                argv.append("-ZZ")
            if options.verify:
                authorities = await asyncio.to_thread(_authorities, Path(options.capath))
                fds.append(stack.enter_context(_in_memory(authorities)))
                env["LDAPTLS_CACERT"] = f"/dev/fd/{fds[-1]}"
            if options.cert and options.certkey:
                env |= {"LDAPTLS_CERT": options.cert, "LDAPTLS_KEY": options.certkey}
            if dn:
                fds.append(stack.enter_context(_in_memory(password.encode())))
                argv += ["-D", dn, "-y", f"/dev/fd/{fds[-1]}"]
            return await run(
                [*argv, *words], ok=range(-64, 256), limit=MOST_BYTES, env=env, cwd=Path("/"), pass_fds=fds, grace=0
            )

    def _address(self, server: str) -> str:
        secure = self._options.how == "ldaps"
        with contextlib.suppress(ValueError):
            server = f"[{server}]" if ipaddress.ip_address(server).version == 6 else server
        port = self._options.port or (636 if secure else 389)
        return f"{'ldaps' if secure else 'ldap'}://{server}:{port}"


def parse_ldif(text: str) -> Iterator[Entry]:
    """The entries of what `ldapsearch -LLL -o ldif-wrap=no` prints (RFC 2849); referrals are left out."""
    for record in re.split(r"\n{2,}", text):
        dn, attributes = None, dict[str, list[str]]()
        for line in record.split("\n"):
            name, colon, rest = line.partition(":")
            if not colon or line.startswith("#"):
                continue
            if rest.startswith(":"):
                value = base64.b64decode(rest[1:].strip()).decode("utf-8", "replace")
            else:
                value = rest.removeprefix(" ")
            if name == "dn":
                dn = value
            else:
                attributes.setdefault(name.lower(), []).append(value)
        if dn is not None:
            yield Entry(dn, attributes)


def _code(done: Finished) -> int:
    """The LDAP result that a tool reports; it exits with 1 for some, so its words count."""
    last = done.error_text.split("\n")[0]
    found = _CODE.search(last)
    return int(found[1]) if found else done.code


def _failed(done: Finished) -> HostFailure:
    code = _code(done)
    refused = done.error_text.startswith("ldap_bind:") and code in _NO
    return HostFailure(
        "the LDAP server refuses the realm's own login" if refused else "the LDAP server cannot answer",
        code="ldap-bind-refused" if refused else "ldap-failed",
        cause="bind_dn or its password is wrong" if refused else f"LDAP result {code}",
        evidence=done.error_text[-500:] or f"exit code {done.code}",
        fixes=[
            Fix(text="check bind_dn and password")
            if refused
            else Fix(text="check base_dn, filter and the server's log")
        ],
    )


def _authorities(place: Path) -> bytes:
    """The certificates of a file or a directory, in PEM. Blocks. Raises HostFailure where there is none."""
    try:
        bundle = place / "ca-certificates.crt"
        if not place.is_dir():
            files = [place]
        else:
            files = [bundle] if bundle.exists() else sorted(p for p in place.iterdir() if p.suffix in (".pem", ".crt"))
        found = b"\n".join(_authority(path) for path in files)
    except OSError as error:
        found, why = b"", str(error)
    else:
        why = "no certificate is in it"
    if not found:
        raise HostFailure(
            "the authorities that the LDAP server is checked by cannot be read",
            code="ldap-capath",
            cause=why,
            evidence=f"capath: {place}",
            fixes=[Fix(text="set capath to a file, or a directory of files, in PEM form")],
        )
    return found


def _authority(path: Path) -> bytes:
    """A file's contents; a realm may name anything, so a pipe is not waited for, nor a device read without end."""
    if not path.is_file():
        raise OSError(f"{path} is no file")
    return read_bounded(path, MOST_AUTHORITIES)


@contextlib.contextmanager
def _in_memory(content: bytes) -> Iterator[int]:
    """A file without a name that a child can read as /dev/fd/N, and nobody else."""
    fd = os.memfd_create("tarmac-ldap", 0)
    try:
        os.fchmod(fd, 0o600)
        os.write(fd, content)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)
