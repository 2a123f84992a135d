"""A real provider of OpenID Connect: Django with django-oauth-toolkit, as a process on loopback.

`python openid_provider.py PORT DIRECTORY REDIRECT...` is the provider itself; `openid_provider()` starts it for a test.
"""

from __future__ import annotations

import contextlib
import html
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

CLIENT, SECRET = "tarmac", "the client's secret"
USER, PASSWORD = "ann", "ann's password"
LOGIN_PAGE = (
    "<title>Provider</title><form method=post>{% csrf_token %}{{ form }}<button type=submit>Sign in</button></form>"
)


class OpenIdProvider:
    """A running provider; `issuer` is its address."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}/o"

    def log_in(self, address: str, user: str = USER, password: str = PASSWORD) -> dict[str, str]:
        """What a browser does that goes to `address` and logs in: the query with which it is sent back."""
        browser = requests.Session()
        page = browser.get(address, timeout=20)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token is not None, page.text[:2000]
        form = {"csrfmiddlewaretoken": html.unescape(token[1]), "username": user, "password": password}
        reply = browser.post(page.url, data=form, timeout=20, allow_redirects=False)
        while reply.headers["Location"].startswith("/"):
            reply = browser.get(f"{page.url.split('/accounts')[0]}{reply.headers['Location']}", timeout=20,
                                allow_redirects=False)  # fmt: skip
        return dict(parse_qsl(urlsplit(reply.headers["Location"]).query))


@contextlib.contextmanager
def openid_provider(*redirects: str) -> Iterator[OpenIdProvider]:
    """A provider whose client may be sent back to `redirects`; it has the user `ann`, of the groups `staff`, `ops`."""
    directory = Path(tempfile.mkdtemp(prefix="tarmac-openid-"))
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = int(sock.getsockname()[1])
    log = directory / "log"
    process = subprocess.Popen(
        [sys.executable, __file__, str(port), str(directory), *redirects], stdout=log.open("ab"), stderr=log.open("ab")
    )
    try:
        deadline = time.monotonic() + 40
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield OpenIdProvider(port)
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(directory, ignore_errors=True)


# -- the provider ------------------------------------------------------------------------------------------------


def _settings(port: int, directory: Path) -> dict[str, Any]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "SECRET_KEY": "of a test",
        "ALLOWED_HOSTS": ["127.0.0.1"],
        "ROOT_URLCONF": "__main__",
        "INSTALLED_APPS": [
            "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "oauth2_provider",
        ],
        "MIDDLEWARE": [
            "django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(directory / "db")}},
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "loaders": [("django.template.loaders.locmem.Loader", {"registration/login.html": LOGIN_PAGE})]
                },
            }
        ],
        "LOGIN_URL": "/accounts/login/",
        "USE_TZ": True,
        "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
        "OAUTH2_PROVIDER": {
            "OIDC_ENABLED": True,
            "OIDC_ISS_ENDPOINT": f"http://127.0.0.1:{port}/o",
            "OIDC_RSA_PRIVATE_KEY": key.decode(),
            "OAUTH2_VALIDATOR_CLASS": "__main__.Validator",
            "PKCE_REQUIRED": True,
            "SCOPES": {"openid": "who you are", "email": "your address", "profile": "your name"},
        },
    }  # fmt: skip


def _serve(port: int, directory: Path, redirects: Sequence[str]) -> None:
    import django
    from django.conf import settings
    from django.core.management import call_command

    settings.configure(**_settings(port, directory))
    django.setup()
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import User
    from django.contrib.auth.views import LoginView
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import include, path
    from oauth2_provider.models import get_application_model
    from oauth2_provider.oauth2_validators import OAuth2Validator

    class Validator(OAuth2Validator):  # type: ignore[misc]
        oidc_claim_scope = None

        def get_additional_claims(self, request: Any) -> dict[str, Any]:
            user = request.user
            return {
                "preferred_username": user.username, "email": user.email, "email_verified": True,
                "given_name": user.first_name, "family_name": user.last_name, "groups": ["staff", "ops", "not a name"],
            }  # fmt: skip

    module = sys.modules["__main__"]
    module.Validator = Validator  # type: ignore[attr-defined]
    module.urlpatterns = [  # type: ignore[attr-defined]
        path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
        path("accounts/login/", LoginView.as_view()),
        path("favicon.ico", lambda request: HttpResponse(status=204)),
    ]
    User.objects.create_user(USER, "ann@example.org", PASSWORD, first_name="Ann", last_name="Lee")
    get_application_model().objects.create(
        client_id=CLIENT,
        client_secret=SECRET,
        client_type="confidential",
        authorization_grant_type="authorization-code",
        redirect_uris=" ".join(redirects),
        algorithm="RS256",
        skip_authorization=True,
    )
    server = ThreadedWSGIServer(("127.0.0.1", port), WSGIRequestHandler)
    server.set_app(get_wsgi_application())
    server.serve_forever()


if __name__ == "__main__":
    _serve(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
