"""A follower of the event stream for tests: keeps the objects as a page would, and waits for what is to come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector, UnixConnector, WSMsgType

SECONDS = 40.0
Message = dict[str, Any]


class EventClient:
    """`rows` and `tasks` by id as the messages so far make them; `messages` is everything that came."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self.messages: list[Message] = []
        self.rows: dict[str, Message] = {}
        self.tasks: dict[str, Message] = {}
        self.epoch = ""
        self.seq = -1

    async def send(self, **wish: Any) -> None:
        await self.socket.send_json(wish)

    async def next(self) -> Message | None:
        """The next message; None when the server closed the connection."""
        async with asyncio.timeout(SECONDS):
            frame = await self.socket.receive()
        if frame.type is not WSMsgType.TEXT:
            return None
        message: Message = json.loads(frame.data)
        self._take(message)
        return message

    async def until(self, wanted: Callable[[Message], object]) -> Message:
        """The next message that is wanted; those before are taken, too."""
        while True:
            message = await self.next()
            assert message is not None, f"the stream ended after {[m['type'] for m in self.messages[-9:]]}"
            if wanted(message):
                return message

    async def until_true(self, check: Callable[[], object]) -> None:
        while not check():
            assert await self.next() is not None, f"the stream ended after {[m['type'] for m in self.messages[-9:]]}"

    async def ready(self) -> None:
        """The beginning is complete."""
        await self.until(lambda m: m["type"] == "resume" or (m["type"] == "snapshot" and not m["more"]))

    def _take(self, message: Message) -> None:
        self.messages.append(message)
        if message["type"] == "resync":
            self.rows.clear()
            self.tasks.clear()
        self.epoch = message.get("epoch", self.epoch)
        self.seq = message.get("seq", self.seq)
        for row in message.get("rows", ()) if message["type"] != "metrics" else ():
            self.rows[row["id"]] = row
        for task in message.get("tasks", ()):
            self.tasks[task["upid"]] = task
        for key in message.get("gone", ()):
            self.rows.pop(key, None)
            self.tasks.pop(key, None)


@asynccontextmanager
async def follow(
    *, unix: str = "", port: int = 0, headers: dict[str, str] | None = None, query: str = ""
) -> AsyncIterator[EventClient]:
    """Follow over a unix socket, or over HTTPS on loopback."""
    base = "http://localhost" if unix else f"https://127.0.0.1:{port}"
    async with (
        ClientSession(connector=UnixConnector(unix) if unix else TCPConnector(ssl=False)) as session,
        session.ws_connect(f"{base}/api2/events{query}", headers=headers, max_msg_size=0) as socket,
    ):
        yield EventClient(socket)
