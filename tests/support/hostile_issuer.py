"""An issuer of OpenID Connect that does what a test tells it: wrong tokens, long answers, none at all."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey


@functools.cache  # to make one takes longer than most of the tests
def _key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "one"})


class HostileIssuer:
    """Good by default; `claims`, `header`, `configuration`, `userinfo` are laid over what it says, None takes away."""

    def __init__(self) -> None:
        self.key, self.published = _key(), True
        self.issuer = ""
        self.nonce = ""
        self.asked: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.hang = asyncio.Event()
        self.hanging: set[str] = set()
        self.body: dict[str, Any] = {}  # path -> a whole answer instead
        self.reset()

    def reset(self) -> None:
        self.claims: dict[str, Any] = {}
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "one"}
        self.configuration: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.secret: str | None = None
        self.signed_by = self.key
        self.body.clear()
        self.hanging.clear()

    def token(self) -> str:
        now = int(time.time())
        told = {
            "iss": self.issuer, "aud": "tarmac", "sub": "7", "iat": now, "exp": now + 300, "nonce": self.nonce,
            "preferred_username": "ann", **self.claims,
        }  # fmt: skip
        told = {k: v for k, v in told.items() if v is not None}
        if self.header["alg"] in ("none", "HS256"):
            # By hand: the library would not make such a token.
            text = ".".join(_base64(json.dumps(part).encode()) for part in (self.header, told))
            secret = (self.secret or "").encode()
            return f"{text}.{_base64(hmac.digest(secret, text.encode(), 'sha256')) if secret else ''}"
        return jwt.encode(self.header, told, self.signed_by, algorithms=[self.header["alg"]])

    async def answer(self, request: web.Request) -> web.StreamResponse:
        name = request.path.rsplit("/", 1)[1]
        self.asked.append(name)
        if name in self.hanging:
            await self.hang.wait()
        if name in self.body:
            return web.Response(body=self.body[name], content_type="application/json")
        if name == "openid-configuration":
            at = self.issuer
            told = {
                "issuer": at, "authorization_endpoint": f"{at}/authorize", "token_endpoint": f"{at}/token",
                "jwks_uri": f"{at}/keys", "userinfo_endpoint": f"{at}/userinfo", **self.configuration,
            }  # fmt: skip
            return web.json_response({k: v for k, v in told.items() if v is not None})
        if name == "keys":
            return web.json_response({"keys": [self.key.as_dict(private=False), {"kty": "strange"}]})
        if name == "userinfo":
            return web.json_response({"sub": "7", "groups": ["staff"], **self.userinfo})
        self.forms.append({**dict(await request.post()), "authorization": request.headers.get("Authorization", "")})
        if self.forms[-1].get("code") != "good":
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response({"id_token": self.token(), "access_token": "a"})


@contextlib.asynccontextmanager
async def hostile_issuer() -> AsyncIterator[HostileIssuer]:
    """One on a free port of loopback."""
    issuer = HostileIssuer()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", issuer.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    issuer.issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield issuer
    finally:
        issuer.hang.set()
        await runner.cleanup()


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
