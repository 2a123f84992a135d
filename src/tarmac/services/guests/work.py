"""Work on one guest: a job that has the guest's number for its object, in the guest's queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tarmac.services.jobs.jobs import Jobs


async def submit_for_guest(jobs: Jobs, kind: str, vmid: int, *, user: str, args: Mapping[str, Any]) -> str:
    """As `Jobs.submit`: returns the UPID."""
    return await jobs.submit(kind, id=str(vmid), user=user, args=args, queues=[f"guest/{vmid}"])
