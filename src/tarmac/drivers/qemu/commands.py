"""The QMP commands we use, each as a typed method; what they do is in QEMU's "QMP reference manual".

Commands whose arguments are open (a block node, a device) take them as one mapping, as QEMU does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Arguments = Mapping[str, Any]


class Commands:
    """Mixed into `Qmp`, which brings `execute`. Errors: those of `Qmp.execute`."""

    async def execute(self, command: str, arguments: Arguments | None = None, *, oob: bool = False) -> Any:
        raise NotImplementedError  # pragma: no cover - Qmp has it

    # The machine

    async def query_status(self) -> str:
        """QEMU's run state: `running`, `paused`, `prelaunch`, `inmigrate`, `internal-error`, `io-error`, ..."""
        return str((await self.execute("query-status"))["status"])

    async def query_uuid(self) -> str:
        return str((await self.execute("query-uuid"))["UUID"])

    async def query_version(self) -> str:
        """`7.2.22`"""
        version = (await self.execute("query-version"))["qemu"]
        return f"{version['major']}.{version['minor']}.{version['micro']}"

    async def stop(self) -> None:
        await self.execute("stop")

    async def cont(self) -> None:
        await self.execute("cont")

    async def system_reset(self) -> None:
        await self.execute("system_reset")

    async def system_powerdown(self) -> None:
        """Presses the ACPI power button; the guest decides."""
        await self.execute("system_powerdown")

    async def quit(self) -> None:
        """Ends QEMU at once, its disks flushed. The answer may be cut off by the end itself: that is success."""
        from tarmac.model.errors import OutcomeUnknown

        try:
            await self.execute("quit")
        except OutcomeUnknown as error:
            if error.error_code != "qmp-connection-lost":
                raise

    # Devices

    async def device_del(self, device: str) -> None:
        """Only asks the guest; the device is gone when the event DEVICE_DELETED names it: subscribe first."""
        await self.execute("device_del", {"id": device})

    async def netdev_add(self, netdev: Arguments) -> None:
        await self.execute("netdev_add", netdev)

    async def netdev_del(self, netdev: str) -> None:
        await self.execute("netdev_del", {"id": netdev})

    async def closefd(self, name: str) -> None:
        """Drop a descriptor that was handed over by `getfd` and not used."""
        await self.execute("closefd", {"fdname": name})

    async def set_link(self, name: str, up: bool) -> None:
        await self.execute("set_link", {"name": name, "up": up})

    async def object_add(self, described: Arguments) -> None:
        await self.execute("object-add", described)

    async def object_del(self, name: str) -> None:
        await self.execute("object-del", {"id": name})

    async def qom_get(self, path: str, name: str) -> Any:
        return await self.execute("qom-get", {"path": path, "property": name})

    async def qom_set(self, path: str, name: str, value: Any) -> None:
        await self.execute("qom-set", {"path": path, "property": name, "value": value})

    async def qom_names(self, path: str) -> list[str]:
        """The objects directly below `path`."""
        rows = await self.execute("qom-list", {"path": path})
        return [str(row["name"]) for row in rows if str(row["type"]).startswith("child<")]

    # Disks

    async def blockdev_add(self, node: Arguments) -> None:
        await self.execute("blockdev-add", node)

    async def blockdev_del(self, node: str) -> None:
        await self.execute("blockdev-del", {"node-name": node})

    async def block_resize(self, node: str, size: int) -> None:
        """`size` in bytes; the guest sees it at once."""
        await self.execute("block_resize", {"node-name": node, "size": size})

    async def query_jobs(self) -> list[dict[str, Any]]:
        return list(await self.execute("query-jobs"))

    async def transaction(self, actions: Sequence[Arguments]) -> None:
        """All or none of the actions, at one moment."""
        await self.execute("transaction", {"actions": list(actions)})

    async def query_block(self) -> list[dict[str, Any]]:
        return list(await self.execute("query-block"))

    async def query_blockstats(self) -> list[dict[str, Any]]:
        return list(await self.execute("query-blockstats"))

    async def query_named_block_nodes(self) -> list[dict[str, Any]]:
        return list(await self.execute("query-named-block-nodes", {"flat": True}))

    async def open_tray(self, device: str, force: bool = False) -> None:
        await self.execute("blockdev-open-tray", {"id": device, "force": force})

    async def close_tray(self, device: str) -> None:
        await self.execute("blockdev-close-tray", {"id": device})

    async def remove_medium(self, device: str) -> None:
        await self.execute("blockdev-remove-medium", {"id": device})

    async def insert_medium(self, device: str, node: str) -> None:
        await self.execute("blockdev-insert-medium", {"id": device, "node-name": node})

    # Screen, keyboard, memory

    async def screendump(self, path: Path, *, format: str = "png") -> None:
        """QEMU writes the file itself, with its own rights. Fails without a display device."""
        await self.execute("screendump", {"filename": str(path), "format": format})

    async def set_password(self, password: str, *, protocol: str = "vnc") -> None:
        """For the next connection. VNC looks at the first 8 characters only."""
        await self.execute("set_password", {"protocol": protocol, "password": password})

    async def expire_password(self, time: str, *, protocol: str = "vnc") -> None:
        """`never`, `now` or `+SECONDS`."""
        await self.execute("expire_password", {"protocol": protocol, "time": time})

    async def send_key(self, keys: Sequence[str], *, hold_ms: int | None = None) -> None:
        """Press the named keys (QKeyCode: `ctrl`, `alt`, `f1`) together."""
        arguments: dict[str, Any] = {"keys": [{"type": "qcode", "data": key} for key in keys]}
        if hold_ms is not None:
            arguments["hold-time"] = hold_ms
        await self.execute("send-key", arguments)

    async def balloon(self, size: int) -> None:
        """Ask the guest to shrink or grow to `size` bytes."""
        await self.execute("balloon", {"value": size})

    async def human(self, line: str) -> str:
        """A line for the human monitor, and what it prints: for diagnosis, and for what QMP lacks."""
        return str(await self.execute("human-monitor-command", {"command-line": line}))
