"""A real directory server: Debian's slapd on loopback, with a directory and a certificate of its own."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tarmac.faces.api.tls import Pki, ensure_certificate

BASE = "dc=example,dc=org"
MANAGER, SECRET = f"cn=manager,{BASE}", "manager's secret"
SCHEMAS = ("core", "cosine", "nis", "inetorgperson", "msuser")
SLAPD = "/usr/sbin/slapd"
_AD = ("instanceType: 4", "nTSecurityDescriptor: x", f"objectCategory: cn=some,{BASE}")
HEAD = f"""dn: {BASE}
objectClass: dcObject
objectClass: organization
o: example
dc: example

dn: ou=people,{BASE}
objectClass: organizationalUnit
ou: people

dn: ou=groups,{BASE}
objectClass: organizationalUnit
ou: groups
"""


def person(uid: str, password: str = "", **attributes: str) -> str:
    """An entry below ou=people, in LDIF."""
    lines = [f"dn: uid={uid},ou=people,{BASE}", "objectClass: inetOrgPerson", f"uid: {uid}", f"cn: {uid}", f"sn: {uid}"]
    lines += [f"userPassword: {password}"] if password else []
    return "\n".join([*lines, *(f"{name}: {value}" for name, value in attributes.items())]) + "\n"


def group(name: str, *members: str) -> str:
    """A group of people, in LDIF."""
    lines = [f"dn: cn={name},ou=groups,{BASE}", "objectClass: groupOfNames", f"cn: {name}"]
    return "\n".join([*lines, *(f"member: uid={uid},ou=people,{BASE}" for uid in members)]) + "\n"


def ad_person(account: str, name: str) -> str:
    """A user as Active Directory keeps it, in LDIF."""
    lines = [f"dn: cn={name},ou=people,{BASE}", "objectClass: user", "objectClass: testAccount", *_AD]
    return "\n".join([*lines, f"cn: {name}", f"sn: {name}", f"sAMAccountName: {account}"]) + "\n"


def ad_group(name: str, *members: str) -> str:
    """A group as Active Directory keeps it, of people by their full names, in LDIF."""
    lines = [f"dn: cn={name},ou=groups,{BASE}", "objectClass: group", *_AD, f"cn: {name}", "groupType: 2"]
    return "\n".join([*lines, *(f"member: cn={member},ou=people,{BASE}" for member in members)]) + "\n"


class LdapServer:
    """A running slapd. `port` speaks plainly and STARTTLS, `tls_port` TLS; `authority` is whom to trust."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port, self.tls_port = _free_port(), _free_port()
        pki = Pki(directory / "pki")
        ensure_certificate(pki, "localhost")
        self.authority = pki.certificate  # it is signed by itself
        (directory / "db").mkdir()
        self._conf = directory / "slapd.conf"
        self._conf.write_text(
            "".join(f"include /etc/ldap/schema/{name}.schema\n" for name in SCHEMAS)
            # Debian's msuser has Active Directory's classes, but none with an account's name.
            + "objectclass ( 1.3.6.1.4.1.4203.666.1 NAME 'testAccount' SUP top AUXILIARY MAY sAMAccountName )\n"
            + f"modulepath /usr/lib/ldap\nmoduleload back_mdb\nsizelimit unlimited\npidfile {directory}/pid\n"
            + f"TLSCertificateFile {pki.certificate}\nTLSCertificateKeyFile {pki.key}\n"
            + f'database mdb\nsuffix "{BASE}"\nrootdn "{MANAGER}"\nrootpw "{SECRET}"\n'
            + f"directory {directory}/db\nmaxsize 67108864\n"
            # Nobody may look for people; a person may prove who he is.
            + "access to attrs=userPassword by anonymous auth by * none\n"
            + f'access to * by dn.exact="{MANAGER}" read by * none\n'
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to answer."""
        addresses = f"ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tls_port}"
        self._process = subprocess.Popen(
            [SLAPD, "-f", str(self._conf), "-h", addresses, "-d", "0"],
            stdout=subprocess.DEVNULL,
            stderr=(self.directory / "log").open("ab"),
        )
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.tls_port), 1):
                return
            assert self._process.poll() is None and time.monotonic() < deadline, (self.directory / "log").read_text()
            time.sleep(0.02)

    def stop(self) -> None:
        """No longer answer; what is known stays."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def hang(self) -> None:
        """Take connections and say nothing, until `go_on`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def add(self, *entries: str) -> None:
        """Entries in LDIF."""
        self._tool("ldapadd", "\n".join(entries))

    def remove(self, *names: str) -> None:
        """Entries by their names below the base: `uid=ann,ou=people`."""
        self._tool("ldapdelete", "".join(f"{name},{BASE}\n" for name in names))

    def modify(self, ldif: str) -> None:
        self._tool("ldapmodify", ldif)

    def _tool(self, tool: str, text: str) -> None:
        address = f"ldap://127.0.0.1:{self.port}"
        subprocess.run(
            [tool, "-x", "-H", address, "-D", MANAGER, "-w", SECRET],
            input=text.encode(),
            check=True,
            capture_output=True,
        )


@contextlib.contextmanager
def ldap_server(*entries: str) -> Iterator[LdapServer]:
    """A started server with the base, `ou=people`, `ou=groups` and `entries`; gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="tarmac-slapd-"))
    server = LdapServer(directory)
    try:
        server.start()
        server.add(HEAD, *entries)
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
