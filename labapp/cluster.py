"""Questions to Kafka, and the making of topics: with clients of its own, which live for one call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from labapp import settings


class Unsuitable(Exception):
    """The cluster is not as this app needs it; the text is one sentence that says what is wrong and what to do."""


@dataclass(frozen=True)
class Topic:
    """A topic as the app wants it; where it exists, `partitions` may be another number and `config` is not looked at."""

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)
    # What an existing topic must have to be of use, by setting.
    needs: dict[str, str] = field(default_factory=dict)


def connection() -> dict[str, Any]:
    """How any aiokafka client of our own reaches the cluster."""
    return {
        "bootstrap_servers": settings.KAFKA_BOOTSTRAP_SERVERS,
        "request_timeout_ms": int(settings.KAFKA_REQUEST_TIMEOUT_SECONDS * 1000),
        "metadata_max_age_ms": 3000,
    }


@asynccontextmanager
async def admin_client() -> AsyncIterator[AIOKafkaAdminClient]:
    """A connected client. Raises Unsuitable where no broker answers within START_TIMEOUT_SECONDS."""
    deadline = asyncio.get_running_loop().time() + settings.START_TIMEOUT_SECONDS
    while True:
        client = AIOKafkaAdminClient(**connection())
        try:
            await client.start()
            break
        except KafkaError:
            await client.close()
            if asyncio.get_running_loop().time() > deadline:
                asked = " or ".join(settings.KAFKA_BOOTSTRAP_SERVERS)
                raise Unsuitable(f"No Kafka broker answers at {asked}: start one, or set KAFKA_BOOTSTRAP_SERVERS to where one is") from None
            await asyncio.sleep(0.5)
    try:
        yield client
    finally:
        await client.close()


async def declare(topics: list[Topic]) -> dict[str, int]:
    """Makes the topics that are missing, checks all of them, and tells how many partitions each has. Raises Unsuitable."""
    async with admin_client() as client:
        await _make_missing(client, topics)
        partitions = await _partitions(client, topics)
        await _check_configs(client, topics)
        return partitions


async def check_group(name: str, protocol: str) -> None:
    """Raises Unsuitable if the group's members agree on another protocol, for then nobody else can join it."""
    async with admin_client() as client:
        deadline = asyncio.get_running_loop().time() + settings.START_TIMEOUT_SECONDS
        while True:
            try:
                [response] = await client.describe_consumer_groups([name])
                break
            except KafkaError as exc:  # a new cluster has no coordinator until it is asked for one
                if not exc.retriable or asyncio.get_running_loop().time() > deadline:
                    raise Unsuitable(f"The group {name} can't be looked at ({type(exc).__name__})") from None
                await asyncio.sleep(0.2)
        _, _, state, protocol_type, used, *_ = response.groups[0]
        if state == "Stable" and (protocol_type != "consumer" or used != protocol):
            raise Unsuitable(f"The group {name} is in use by another program (assignment protocol {used!r}): choose another CONSUMER_GROUP")


async def _make_missing(client: AIOKafkaAdminClient, topics: list[Topic]) -> None:
    existing = set(await client.list_topics())
    missing = [topic for topic in topics if topic.name not in existing]
    if missing:
        brokers = len((await client.describe_cluster())["brokers"])
        copies = min(settings.KAFKA_REPLICATION, brokers)
        response = await client.create_topics([NewTopic(t.name, t.partitions, copies, topic_configs=t.config) for t in missing])
        for name, code, *message in response.topic_errors:
            if code and for_code(code) is not TopicAlreadyExistsError:
                raise Unsuitable(f"The topic {name} is missing and can't be made: {for_code(code).__name__} {' '.join(map(str, message))}")


async def _partitions(client: AIOKafkaAdminClient, topics: list[Topic]) -> dict[str, int]:
    """How many partitions each topic has, once all of them have a leader: a topic just made is not known to every broker at once."""
    deadline = asyncio.get_running_loop().time() + settings.START_TIMEOUT_SECONDS
    while True:
        described = await client.describe_topics([topic.name for topic in topics])
        waiting = [t["topic"] for t in described if t["error_code"] or not t["partitions"] or any(p["leader"] < 0 for p in t["partitions"])]
        if not waiting:
            return {topic["topic"]: len(topic["partitions"]) for topic in described}
        if asyncio.get_running_loop().time() > deadline:
            raise Unsuitable(f"The topic {waiting[0]} has a partition without a leader: see whether all brokers are up")
        await asyncio.sleep(0.1)


async def _configs(client: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    """The settings of topics that exist, though the broker asked may not know them yet."""
    deadline = asyncio.get_running_loop().time() + settings.START_TIMEOUT_SECONDS
    while True:
        [response] = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
        if not any(error_code for error_code, *_ in response.resources):
            return {name: {entry[0]: entry[1] for entry in entries} for *_, name, entries in response.resources}
        if asyncio.get_running_loop().time() > deadline:
            code, message, *_ = max(response.resources)
            raise Unsuitable(f"The settings of the topics can't be read: {message or for_code(code).__name__}")
        await asyncio.sleep(0.1)


async def _check_configs(client: AIOKafkaAdminClient, topics: list[Topic]) -> None:
    asked = [topic for topic in topics if topic.needs]
    if not asked:
        return
    found = await _configs(client, [topic.name for topic in asked])
    for topic in asked:
        for setting, word in topic.needs.items():
            if word not in (is_now := found[topic.name].get(setting) or ""):
                raise Unsuitable(f"The topic {topic.name} has {setting}={is_now}, but it needs {word}: change it, or delete the topic")
