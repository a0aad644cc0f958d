"""What the faults ask of Kafka, and change in it. It uses plain aiokafka, and bypasses the network with the faults."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import AlterPartitionReassignmentsRequest

from labapp.lab import BROKERS
from labapp.lab.kafka import NODE_IDS

ANSWER_SECONDS = 30


async def coordinator(bootstrap: str, group: str) -> str:
    """The name of the broker that coordinates the group."""
    async with asyncio.timeout(ANSWER_SECONDS):
        while True:
            try:
                async with _admin(bootstrap) as admin:
                    return _name(await admin.find_coordinator(group))
            except (KafkaError, OSError):  # the coordinator is just moving
                await asyncio.sleep(0.1)


async def unsettled(bootstrap: str, group: str, members: int, seconds: float) -> str:
    """Waits until the group is stable with so many members, and returns an empty text. After a time-out it returns the group's state."""
    deadline, found = time.monotonic() + seconds, ""
    while True:
        try:
            async with _admin(bootstrap) as admin:
                [answer] = await admin.describe_consumer_groups([group])
                _, _, state, _, _, present, *_ = answer.groups[0]
            if (state, len(present)) == ("Stable", members):
                return ""
            found = f"{state}, {len(present)} members instead of {members}"
        except (KafkaError, OSError) as exc:
            found = repr(exc)
        if time.monotonic() > deadline:
            return found
        await asyncio.sleep(0.2)


async def leader(bootstrap: str, topic: str, partition: int) -> str | None:
    """The name of the broker that leads the partition; None if none does."""
    async with _admin(bootstrap) as admin:
        id_ = (await _described(admin, topic, partition))["leader"]
        return None if id_ < 0 else _name(id_)


async def replicas(bootstrap: str, topic: str, partition: int) -> list[int]:
    async with _admin(bootstrap) as admin:
        return (await _described(admin, topic, partition))["replicas"]


async def move(bootstrap: str, topic: str, partition: int, replicas: list[int]) -> None:
    """Returns once the partition has its copies on these brokers, all in sync. Raises TimeoutError."""
    deadline = time.monotonic() + ANSWER_SECONDS
    asked = False
    while True:
        try:
            async with _admin(bootstrap) as admin:
                if not asked:
                    topics: list[Any] = [(topic, [(partition, replicas, {})], {})]
                    await admin._send_to_controller(AlterPartitionReassignmentsRequest(5000, topics, {}))
                    asked = True
                now = await _described(admin, topic, partition)
                if now["replicas"] == replicas and set(now["isr"]) == set(replicas):
                    return
        except (KafkaError, OSError, TimeoutError):  # a broker or the controller is away
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(f"{topic}, partition {partition}, is not on brokers {replicas} after {ANSWER_SECONDS} s")
        await asyncio.sleep(0.1)


async def _described(admin: AIOKafkaAdminClient, topic: str, partition: int) -> dict[str, Any]:
    found = (await admin.describe_topics([topic]))[0]["partitions"]
    return next(one for one in found if one["partition"] == partition)


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5000)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


def _name(node_id: int) -> str:
    return next(name for name in BROKERS if NODE_IDS[name] == node_id)
