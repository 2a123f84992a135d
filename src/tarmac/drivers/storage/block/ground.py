"""What all parts of a pool's storage stand on: its names, and how its tools are run and their failures read."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from tarmac.drivers.storage.block.commands import BASE_POINT, LINGER_SECONDS, Argv, BlockCommands, BlockImage, Point
from tarmac.drivers.storage.ground import StorageGround
from tarmac.drivers.storage.image import image_failure
from tarmac.drivers.storage.jail import Jail
from tarmac.drivers.storage.values import Capabilities, Layer, Owner
from tarmac.drivers.storage.volume_names import Content, VolumeName
from tarmac.lib.acl import grant_read
from tarmac.lib.files import failure_of
from tarmac.lib.hostcalls import HostCalls
from tarmac.lib.process import run
from tarmac.model.errors import Busy, Conflict, Fix, HostFailure, InvalidInput, NotFound
from tarmac.model.ids import VolumeId

_HIDDEN = "tarmac-part-"
_OUTPUT_MAX = 64 * 1024 * 1024
_LIST_TRIES = 5
LOOK_AGAIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a driver may use of the daemon's: `private` holds a directory per storage for keys and the like, and guests'
    users can walk through it; `scratch` takes passing copies; `group`: to whom files without owners belong (None: the
    daemon is not root)."""

    jail: Jail
    private: Path
    scratch: Path
    group: int | None = None


class BlockGround(StorageGround):
    """See `BlockStorage`, which has the parameters."""

    def __init__(self, id: str, commands: BlockCommands, *, means: Means, content: Collection[Content]) -> None:
        super().__init__(id, content)
        self._commands = commands
        self._means = means
        self._calls = HostCalls(f"storage-{id}")
        self._naming = asyncio.Lock()

    @property
    def capabilities(self) -> Capabilities:
        return self._commands.capabilities

    def parse(self, volid: VolumeId) -> VolumeName:
        return self._parsed(self._own(volid))

    def _parsed(self, text: str) -> VolumeName:
        try:
            return self._commands.parse(text)
        except ValueError as problem:
            raise InvalidInput(str(problem), code="volume-name", parameters={"filename": str(problem)}) from None

    def location(self, volid: VolumeId) -> str:
        return self._commands.location(self.parse(volid).file)

    def image_name(self, vmid: int, stem: str, format: str) -> VolumeName:
        return self._parsed(stem)

    def clone_name(self, base: VolumeName, vmid: int, stem: str) -> VolumeName:
        return self._commands.clone_name(base, vmid, stem)

    def planned(self, volid: VolumeId) -> Layer:
        return self._layer(self.parse(volid).file)

    def _layer(self, name: str, point: str | None = None) -> Layer:
        where = self._commands.location(name) + (f"@{point}" if point is not None else "")
        return Layer(
            path=Path(where), format="raw", direct=True, protocol=self._commands.node(name, point), snapshot=point
        )

    def _volid(self, name: VolumeName) -> VolumeId:
        return VolumeId(self._id, str(name))

    @staticmethod
    def _marked(token: str) -> str:
        return hashlib.sha256((token or secrets.token_hex(16)).encode()).hexdigest()[:24]

    @staticmethod
    def _hidden(mark: str) -> str:
        return _HIDDEN + mark

    # -- tools --------------------------------------------------------------------------------------------------

    async def _read(self, argv: Argv, what: str, volume: str = "") -> str:
        try:
            done = await run(argv, env=self._commands.env, limit=_OUTPUT_MAX)
        except HostFailure as problem:
            raise self._failure(problem, what, volume) from problem
        return done.text

    async def _do(self, commands: Sequence[Argv], what: str, volume: str = "") -> None:
        for argv in commands:
            await self._read(argv, what, volume)

    def _failure(self, problem: HostFailure, what: str, volume: str) -> Exception:
        """A tool's failure; `volume` is the image concerned."""
        words = problem.evidence
        if problem.error_code != "tool-failed":
            return problem
        if volume and self._commands.is_missing(words):
            return _missing(f"{self._id}:{volume}")
        if self._commands.is_taken(words):
            return Conflict(f"disk image '{volume}' already exists", code="volume-exists", evidence=words[-500:])
        if self._commands.is_busy(words):
            return Busy(
                what,
                code="volume-busy",
                cause="a guest or another node has it open, or clones stand on it",
                evidence=words[-2000:],
                fixes=[
                    Fix(text="stop what uses it, or remove the clones first"),
                    Fix(text="after a crash of what used it: try again in half a minute"),
                ],
            )
        return image_failure(problem, what, Path(f"{self._id}/"))

    # -- images -------------------------------------------------------------------------------------------------

    async def _names(self) -> Sequence[str]:
        return self._commands.read_names(await self._read(self._commands.names(), f"cannot list storage '{self._id}'"))

    async def _images(self) -> Sequence[BlockImage]:
        what = f"cannot list storage '{self._id}'"
        for _ in range(_LIST_TRIES - 1):
            try:
                return self._commands.read_listing(await self._read(self._commands.listing(), what, "(list)"))
            except NotFound:  # one of them went while they were looked at
                continue
        return self._commands.read_listing(await self._read(self._commands.listing(), what))

    async def _find(self, name: str) -> BlockImage | None:
        try:
            return await self._shown(name)
        except NotFound:
            return None

    async def _shown(self, name: str) -> BlockImage:
        """Raises NotFound."""
        what = f"cannot read volume '{self._id}:{name}'"
        texts = [await self._read(argv, what, name) for argv in self._commands.show(name)]
        return self._commands.read_show(name, texts)

    async def _points(self, name: str) -> Sequence[Point]:
        """Those of `seal` too. Raises NotFound."""
        text = await self._read(self._commands.points(name), f"cannot read the snapshots of '{name}'", name)
        try:
            return self._commands.read_points(name, text)
        except LookupError:
            raise _missing(f"{self._id}:{name}") from None

    async def _own_points(self, name: str) -> Sequence[Point]:
        return [point for point in await self._points(name) if point.name != BASE_POINT]

    async def _made_by(self, name: str) -> str:
        return self._commands.read_mark(await self._read(self._commands.mark(name), f"cannot read '{name}'", name))

    async def _remove(self, name: str) -> bool:
        """`_remove_now`, once nobody seems to have it open any more that is dead."""
        clock = asyncio.get_running_loop()
        until = clock.time() + LINGER_SECONDS
        while True:
            try:
                return await self._remove_now(name)
            except Busy as problem:
                if not self._commands.lingers(problem.evidence) or clock.time() > until:
                    raise
                await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _remove_now(self, name: str) -> bool:
        """Remove an image, also what a making that was cut off left of one. False when there is nothing."""
        try:
            points = await self._points(name)
        except NotFound:
            if name not in await self._names():
                return False
            points = ()
        await self._do(self._commands.remove(name, points), f"cannot remove volume '{self._id}:{name}'", name)
        return True

    async def _grant(self, name: str, owner: Owner) -> None:
        """Let a guest's user open it: its devices become the user's, and it may read what leads to the pool."""

        def grant() -> None:
            for device in self._commands.devices(name):
                os.chown(device, owner.uid, owner.gid)
            for file in self._commands.files():
                if not grant_read(file, owner.uid):  # never everybody: it is a key
                    raise HostFailure(
                        f"guests cannot be let to storage '{self._id}'",
                        code="storage-access",
                        cause="the daemon's directory lies on a file system without access lists",
                        evidence=str(file),
                    )

        try:
            await self._calls.run(grant)
        except OSError as problem:
            raise failure_of(problem, f"guests cannot be let to storage '{self._id}'") from problem


def _missing(volid: str) -> NotFound:
    return NotFound(f"volume '{volid}' does not exist", code="no-such-volume")
