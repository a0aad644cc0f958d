"""aiokafka's group membership: it remembers when the group's coordinator last heard from this worker.

A worker that was frozen, or that is cut off from the coordinator, may lose its partitions to another worker without being told. It
notices that by the time of its last heartbeat.
"""

import time
from typing import Any

from aiokafka.consumer.group_coordinator import GroupCoordinator

_do_heartbeat = GroupCoordinator._do_heartbeat
_start_heartbeat_task = GroupCoordinator._start_heartbeat_task


def remember_heartbeats() -> None:
    """Changes every consumer that this process makes from now on."""
    GroupCoordinator._do_heartbeat = do_heartbeat
    GroupCoordinator._start_heartbeat_task = start_heartbeat_task


def heard_at(coordinator: GroupCoordinator) -> float | None:
    """When the last heartbeat was sent that the group's coordinator accepted (monotonic seconds); None before the first join."""
    return getattr(coordinator, "labapp_heard_at", None)


async def do_heartbeat(self: GroupCoordinator) -> Any:
    sent = time.monotonic()  # the session counts from the heartbeat's arrival, not from its answer
    accepted = await _do_heartbeat(self)
    if accepted:
        self.labapp_heard_at = sent
    return accepted


def start_heartbeat_task(self: GroupCoordinator) -> None:
    """aiokafka calls this when it has joined the group, which counts as a heartbeat."""
    self.labapp_heard_at = time.monotonic()
    _start_heartbeat_task(self)
