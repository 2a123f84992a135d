"""What is said to an authority. Everything here blocks, for a thread, and raises errors of our tree.

What an authority answers is bounded in size and time, for its address is whatever somebody gave.

The library is imported when it is first used: it and what it needs take a tenth of a second and 20 MiB, and most nodes
never order anything.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tarmac.model.errors import Conflict, Fix, HostFailure, TarmacError, Unavailable
from tarmac.version import VERSION

ORDER_SECONDS = 180
CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 60.0
MOST_BYTES = 1024 * 1024
_PIECE = 64 * 1024
_PEM = serialization.Encoding.PEM
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account with an authority: its address there, and the key that proves it (PEM)."""

    directory: str
    location: str
    key: str


def meta(directory: str) -> dict[str, Any]:
    """What the authority says of itself: `termsOfService`, `website`, `caaIdentities`, `externalAccountRequired`."""
    with _told(directory):
        from acme import client

        found = client.ClientV2.get_directory(directory, _network()).to_json().get("meta", {})
        return {key: value for key, value in json.loads(json.dumps(found, default=str)).items() if value is not None}


def register(directory: str, contact: Sequence[str]) -> tuple[Account, dict[str, Any]]:
    """A new account; its terms of service are agreed to. Returns it and what the authority keeps of it."""
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with _told(directory):
        from acme import messages

        acme = _client(directory, key.decode())
        new = messages.NewRegistration(contact=_mailto(contact), terms_of_service_agreed=True)
        made = acme.new_account(new)
        return Account(directory=directory, location=made.uri, key=key.decode()), _plain(made.body)


def query(account: Account) -> dict[str, Any]:
    """What the authority keeps of an account."""
    with _told(account.directory):
        return _plain(_client(account.directory, account.key).query_registration(_registration(account)).body)


def update(account: Account, contact: Sequence[str]) -> dict[str, Any]:
    """Another contact."""
    with _told(account.directory):
        from acme import messages

        acme = _client(account.directory, account.key)
        acme.net.account = _registration(account)
        new = messages.Registration(contact=_mailto(contact))
        return _plain(acme.update_registration(acme.net.account, new).body)


def deactivate(account: Account) -> None:
    with _told(account.directory):
        acme = _client(account.directory, account.key)
        acme.net.account = _registration(account)
        acme.deactivate_registration(acme.net.account)


def order(account: Account, domains: Sequence[str], *, port: int, say: Say) -> tuple[str, str]:
    """A certificate for these names, proved by answering on this port (HTTP-01). Returns its chain and its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with _told(account.directory):
        from acme import challenges, crypto_util, messages, standalone

        acme = _client(account.directory, account.key)
        acme.net.account = _registration(account)
        order = acme.new_order(crypto_util.make_csr(key, list(domains)))
        asked, resources = [], set()
        for authorization in order.authorizations:
            if authorization.body.status == messages.STATUS_VALID:
                continue  # proved lately, and not asked again
            chosen = [c for c in authorization.body.challenges if isinstance(c.chall, challenges.HTTP01)]
            if not chosen:
                raise _no_http(authorization.body.identifier.value)
            response, validation = chosen[0].response_and_validation(acme.net.key)
            asked.append((chosen[0], response))
            resources.add(
                standalone.HTTP01RequestHandler.HTTP01Resource(
                    chall=chosen[0].chall, response=response, validation=validation
                )
            )
        with _answering(port, resources):
            for challenge, response in asked:
                acme.answer_challenge(challenge, response)
            say(f"waiting for {account.directory} to look at {', '.join(domains)} (port {port})")
            deadline = datetime.datetime.now() + datetime.timedelta(seconds=ORDER_SECONDS)
            done = acme.poll_and_finalize(order, deadline)
        return str(done.fullchain_pem), key.decode()


def revoke(account: Account, certificate: x509.Certificate) -> None:
    with _told(account.directory):
        acme = _client(account.directory, account.key)
        acme.net.account = _registration(account)
        acme.revoke(certificate, 0)


_AGENT = f"tarmac/{VERSION}"


def _client(directory: str, key: str) -> Any:
    import josepy
    from acme import client

    net = _network(josepy.JWKRSA.load(key.encode()))
    return client.ClientV2(client.ClientV2.get_directory(directory, net), net)


def _network(key: Any = None) -> Any:
    """The library's way out, with answers that end."""
    from acme import client
    from requests.adapters import HTTPAdapter

    class Bounded(HTTPAdapter):  # type: ignore[misc]
        def send(self, request: Any, **how: Any) -> Any:
            limits = {"stream": True, "timeout": (CONNECT_SECONDS, CONNECT_SECONDS)}
            response = super().send(request, **{**how, **limits})
            response._content, response._content_consumed = _whole(response), True
            return response

    net = client.ClientNetwork(key, user_agent=_AGENT)
    for scheme in ("http://", "https://"):
        net.session.mount(scheme, Bounded())
    net.session.headers["Accept-Encoding"] = "identity"  # short texts, of which nothing unfolds
    return net


def _whole(response: Any) -> bytes:
    """An answer's body. Raises OSError for one that is too long or takes too long."""
    from urllib3.exceptions import HTTPError

    found, deadline = bytearray(), time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            piece = response.raw.read1(_PIECE, decode_content=True)  # what has come, without waiting for more
        except HTTPError as problem:
            raise OSError(str(problem)) from problem
        if not piece:
            return bytes(found)
        found += piece
        if len(found) > MOST_BYTES or time.monotonic() > deadline:
            response.close()
            limit = f"{MOST_BYTES // 1024} KiB" if len(found) > MOST_BYTES else f"{ANSWER_SECONDS:g} s"
            raise OSError(f"its answer did not end within {limit}")


def _registration(account: Account) -> Any:
    from acme import messages

    return messages.RegistrationResource(uri=account.location, body=messages.Registration())


def _mailto(contact: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"mailto:{address}" for address in contact)


def _plain(body: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(body.json_dumps())
    found.pop("key", None)
    return found


@contextlib.contextmanager
def _answering(port: int, resources: set[Any]) -> Iterator[None]:
    """Answer the authority on a port while the body runs. Raises Conflict where the port cannot be had."""
    from acme import standalone

    try:
        servers = standalone.HTTP01DualNetworkedServers(("", port), resources)
    except OSError as problem:
        raise Conflict(
            f"cannot listen on port {port} for the authority's question",
            code="acme-port",
            cause="another program listens there, or the right to it is missing",
            evidence=str(problem),
            fixes=[
                Fix(text=f"stop what listens on port {port} while the certificate is ordered"),
                Fix(text="forward port 80 to another one, and start the daemon with TARMAC_ACME_PORT naming that"),
            ],
        ) from problem
    servers.serve_forever()
    try:
        yield
    finally:
        servers.shutdown_and_server_close()


@contextlib.contextmanager
def _told(directory: str) -> Iterator[None]:
    """What the library raises, as errors of our tree."""
    from acme import errors, messages
    from requests.exceptions import RequestException

    try:
        yield
    except TarmacError:
        raise
    except errors.ValidationError as problem:
        raise _not_proved(directory, problem) from problem
    except messages.Error as problem:
        raise HostFailure(
            f"the authority refused it: {problem.detail or problem.description or problem.typ}",
            code="acme-refused",
            cause=str(problem.description or "the authority does not do that"),
            evidence=f"{directory}: {problem.typ}",
            fixes=[Fix(text="correct what the authority names, then try again")],
        ) from problem
    except (errors.Error, RequestException, OSError, ValueError) as problem:
        raise Unavailable(
            f"the authority at {directory} cannot be used",
            code="acme-unreachable",
            cause="it does not answer as an ACME directory does",
            evidence=f"{type(problem).__name__}: {problem}"[:500],
            fixes=[Fix(text="look at the account's directory and at the way there, then try again")],
        ) from problem


def _not_proved(directory: str, problem: Any) -> TarmacError:
    found = []
    for authorization in problem.failed_authzrs:
        for challenge in authorization.body.challenges:
            if challenge.error is not None:
                found.append(f"{authorization.body.identifier.value}: {challenge.error.detail}")
    return HostFailure(
        "the authority could not see that the names are this node's",
        code="acme-not-proved",
        cause="; ".join(found)[:800] or "it gave no reason",
        evidence=directory,
        fixes=[Fix(text="have the names lead to this node, and port 80 reach it from outside, then order again")],
    )


def _no_http(name: str) -> TarmacError:
    return HostFailure(
        f"the authority does not offer to prove {name} by HTTP",
        code="acme-no-http",
        cause="names with a wildcard are proved by DNS only, which is not built yet",
        evidence=name,
        fixes=[Fix(text="order for names without a wildcard", action="PUT /nodes/{node}/config")],
    )
