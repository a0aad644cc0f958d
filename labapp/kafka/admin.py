"""Makes and checks the given topics, and checks the group. Each call uses an admin client of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from labapp import settings
from labapp.kafka import by_hand, connection, security
from labapp.kafka.connection import Admin
from labapp.kafka.permissions import allowed_on_group, allowed_on_topics

Answer = TypeVar("Answer")

_DENIED = (TopicAuthorizationFailedError, ClusterAuthorizationFailedError)


class Unsuitable(Exception):
    """The cluster is not as this app needs it. One sentence says what is wrong and what to do. Commands follow, one a line."""

    def __init__(self, sentence: str, commands: Sequence[str] = ()) -> None:
        """`sentence` is without its full stop."""
        super().__init__("\n  ".join([f"{sentence}:", *commands]) if commands else f"{sentence}.")


class Interrupted(Unsuitable):
    """A broker did not answer a request, as one does that has just died. Another broker may answer the next try."""


@dataclass(frozen=True)
class Topic:
    """A topic as the app makes it. An existing topic may have another number of partitions and another config."""

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)
    # The settings that an existing topic must have.
    needs: dict[str, str] = field(default_factory=dict)
    # The operations (Kafka's ACLs) that this client must be allowed.
    operations: Set[str] = frozenset()


class MayNotCreate(Unsuitable):
    """Topics are missing, and this client may not make them."""

    def __init__(self, topics: Sequence[Topic]) -> None:
        self.topics = topics
        super().__init__(
            "Topics are missing, or hidden from this client, and it may not make them (an ACL for Create is missing): "
            f"{', '.join(topic.name for topic in topics)}. These commands make them",
            [by_hand.topic(topic.name, topic.partitions, topic.config) for topic in topics],
        )


@asynccontextmanager
async def admin_client() -> AsyncIterator[Admin]:
    """A connected client.

    Raises Unsuitable if no broker answers within START_TIMEOUT_SECONDS, if one refuses us, or if Kafka fails while the client is used.
    """
    deadline = asyncio.get_running_loop().time() + settings.START_TIMEOUT_SECONDS
    while True:
        client = Admin(**connection.options())
        try:
            await client.start()
            break
        except KafkaError:
            await client.close()
            over = asyncio.get_running_loop().time() > deadline
            if refusal := await security.refusal(settings.KAFKA_BOOTSTRAP_SERVERS, at_last=over):
                raise Unsuitable(refusal) from None
            if over:
                asked = " or ".join(settings.KAFKA_BOOTSTRAP_SERVERS)
                raise Unsuitable(f"No Kafka broker answers at {asked}: start one, or set KAFKA_BOOTSTRAP_SERVERS to where one is") from None
            await asyncio.sleep(0.1)
    try:
        yield client
    except (KafkaError, TimeoutError) as exc:
        # The advertised listeners may differ from the bootstrap servers. Only a connection to them shows what is wrong.
        if refusal := await security.refusal(client.known_brokers()):
            raise Unsuitable(refusal) from None
        kind = Interrupted if getattr(exc, "retriable", True) else Unsuitable
        raise kind(f"A Kafka broker answers, but a request failed ({exc!r})") from None
    finally:
        await client.close()


async def until_answered(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """What `ask` returns. It asks again while a request is interrupted, for START_TIMEOUT_SECONDS. Raises Unsuitable."""
    deadline = asyncio.get_running_loop().time() + settings.START_TIMEOUT_SECONDS
    while True:
        try:
            return await ask()
        except Interrupted:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.5)


async def declare(topics: list[Topic]) -> dict[str, int]:
    """Makes missing topics, checks all of them, and returns each topic's number of partitions. Raises Unsuitable."""
    async with admin_client() as client:
        await _make_missing(client, topics)
        partitions = await _partitions(client, topics)
        await _check_operations(client, topics)
        await _check_configs(client, topics)
        return partitions


async def look_at(client: Admin, topic: Topic) -> int | None:
    """Checks a topic as `declare` does, but makes nothing. Returns its number of partitions, or None if it is missing and could be made."""
    if await _make_missing(client, [topic], validate_only=True):
        return None
    await _check_operations(client, [topic])
    await _check_configs(client, [topic])
    return (await _partitions(client, [topic]))[topic.name]


async def check_group(name: str, protocol: str) -> None:
    """Raises Unsuitable if we may not use the group, or if its members use another assignment protocol, so that we can't join."""
    async with admin_client() as client:
        deadline = asyncio.get_running_loop().time() + settings.START_TIMEOUT_SECONDS
        while True:
            try:
                coordinator = await client.find_coordinator(name)
                allowed = await allowed_on_group(client, name, coordinator)
                [response] = await client.describe_consumer_groups([name], coordinator)
                break
            except GroupAuthorizationFailedError:
                raise _no_group(name) from None
            except KafkaError as exc:  # a new cluster has no coordinator until it is asked for one
                if not exc.retriable or asyncio.get_running_loop().time() > deadline:
                    raise Unsuitable(f"The group {name} can't be described ({type(exc).__name__})") from None
                await asyncio.sleep(0.2)
        if allowed is not None and "Read" not in allowed:
            raise _no_group(name)
        _, _, state, protocol_type, used, *_ = response.groups[0]
        if state == "Stable" and (protocol_type != "consumer" or used != protocol):
            raise Unsuitable(f"The group {name} is in use by another program (assignment protocol {used!r}): choose another CONSUMER_GROUP")


def _no_group(name: str) -> Unsuitable:
    return Unsuitable(_denied({"Read"}, f"group {name}"), by_hand.group(name))


async def ensure_no_members(client: Admin, group: str) -> None:
    """Raises Unsuitable while a worker of the group runs."""
    [response] = await client.describe_consumer_groups([group])
    code, _, state, _, _, members, *_ = response.groups[0]
    if code:
        raise Unsuitable(_denied({"Describe"}, f"group {group}"))
    if members or state not in ("Empty", "Dead"):
        raise Unsuitable(f"The group {group} has {len(members)} members ({state}): stop its workers first")


async def _copies(client: Admin, topic: str) -> int:
    """The replication factor of new topics: KAFKA_REPLICATION, but no more than there are brokers.

    A topic keeps its replication factor. So if fewer brokers answer than KAFKA_BOOTSTRAP_SERVERS names, this waits for the others.
    """
    wanted = min(settings.KAFKA_REPLICATION, len(set(settings.KAFKA_BOOTSTRAP_SERVERS)))
    deadline = asyncio.get_running_loop().time() + settings.START_TIMEOUT_SECONDS
    while (brokers := len((await client.describe_cluster())["brokers"])) < wanted:
        if asyncio.get_running_loop().time() > deadline:
            raise Unsuitable(
                f"The topic {topic} is missing and needs {wanted} replicas, but only {brokers} of {wanted} brokers answer: "
                f"start the others, or set KAFKA_REPLICATION={brokers}"
            )
        await asyncio.sleep(0.2)
    return min(settings.KAFKA_REPLICATION, brokers)


async def partitions_of(client: Admin, topic: str) -> list[int]:
    """The numbers of the topic's partitions; empty if there is no such topic."""
    [described] = await client.describe_topics([topic])
    return sorted(partition["partition"] for partition in described["partitions"])


async def _make_missing(client: Admin, topics: list[Topic], validate_only: bool = False) -> list[Topic]:
    existing = set(await client.list_topics())
    missing = [topic for topic in topics if topic.name not in existing]
    if missing:
        copies = await _copies(client, missing[0].name)
        response = await client.create_topics(
            [NewTopic(t.name, t.partitions, copies, topic_configs=t.config) for t in missing], None, validate_only
        )
        denied = {name for name, code, *_ in response.topic_errors if for_code(code) in _DENIED}
        if denied:
            raise MayNotCreate([topic for topic in missing if topic.name in denied])
        for name, code, *message in response.topic_errors:
            if code and for_code(code) is not TopicAlreadyExistsError:
                raise Unsuitable(f"The topic {name} is missing and can't be made: {for_code(code).__name__} {' '.join(map(str, message))}")
    return missing


async def _partitions(client: Admin, topics: list[Topic]) -> dict[str, int]:
    """Each topic's number of partitions, once all partitions have a leader: not every broker knows a new topic at once."""
    deadline = asyncio.get_running_loop().time() + settings.START_TIMEOUT_SECONDS
    while True:
        described = await client.describe_topics([topic.name for topic in topics])
        waiting = [t["topic"] for t in described if t["error_code"] or not t["partitions"] or any(p["leader"] < 0 for p in t["partitions"])]
        if denied := [t["topic"] for t in described if for_code(t["error_code"]) is TopicAuthorizationFailedError]:
            raise Unsuitable(_denied({"Describe"}, f"topic {denied[0]}"))
        if not waiting:
            return {topic["topic"]: len(topic["partitions"]) for topic in described}
        if asyncio.get_running_loop().time() > deadline:
            raise Unsuitable(f"The topic {waiting[0]} has a partition without a leader: check that all brokers are up")
        await asyncio.sleep(0.1)


async def _check_operations(client: Admin, topics: list[Topic]) -> None:
    found = await allowed_on_topics(client, [topic.name for topic in topics])
    for topic in topics:
        if (allowed := found[topic.name]) is not None and (missing := topic.operations - allowed):
            raise Unsuitable(_denied(missing, f"topic {topic.name}"))


def _denied(operations: Set[str], what: str) -> str:
    return f"Kafka does not allow this client {' and '.join(sorted(operations))} on the {what}: an ACL is missing"


async def configs(client: Admin, names: list[str]) -> dict[str, dict[str, str]]:
    """The settings of each of these existing topics that this client may read (ACL DescribeConfigs). Raises Unsuitable.

    The broker that is asked may not know a new topic yet, so it is asked again.
    """
    deadline = asyncio.get_running_loop().time() + settings.START_TIMEOUT_SECONDS
    while True:
        [response] = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
        resources = [one for one in response.resources if for_code(one[0]) is not TopicAuthorizationFailedError]
        if not any(code for code, *_ in resources):
            return {name: {entry[0]: entry[1] for entry in entries} for *_, name, entries in resources}
        if asyncio.get_running_loop().time() > deadline:
            code, message, *_ = max(resources)
            raise Unsuitable(f"The settings of the topics can't be read: {message or for_code(code).__name__}")
        await asyncio.sleep(0.1)


async def _check_configs(client: Admin, topics: list[Topic]) -> None:
    """Checks the settings that this client may read. A topic whose settings it may not read is accepted."""
    asked = [topic for topic in topics if topic.needs]
    if not asked:
        return
    found = await configs(client, [topic.name for topic in asked])
    for topic in asked:
        for setting, word in topic.needs.items():
            if topic.name in found and word != (is_now := found[topic.name].get(setting) or ""):
                raise Unsuitable(f"The topic {topic.name} has {setting}={is_now}, but it needs {word}: change it, or delete the topic")
