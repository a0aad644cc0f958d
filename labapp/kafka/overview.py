"""The state of the cluster: brokers, this app's topics, the groups that read its events, and the newest records.

The clients stay connected. An overview is kept for a second, so that many pages cost the brokers no more than one page.
A value is None if the broker that knows it is away.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError

from labapp import settings
from labapp.kafka import connection
from labapp.kafka.connection import Admin
from labapp.kafka.newest import Newest, newest
from labapp.kafka.topic_ids import topic_ids

KEPT_SECONDS = 1.0
TIMEOUT_SECONDS = 2.5
REQUEST_TIMEOUT_SECONDS = 2
# At most so many groups are searched for readers of our topic.
GROUPS_MAX = 50


class Away(Exception):
    """No broker answers."""


class TooSlow(Exception):
    """Records were not read in TIMEOUT_SECONDS."""


@dataclass(frozen=True)
class Broker:
    id: int
    host: str | None  # None: this worker has never seen it
    port: int | None
    state: str  # online, away
    controller: bool  # as the brokers report it; with KRaft any broker, which forwards to the controller


@dataclass(frozen=True)
class Partition:
    partition: int
    leader: int | None
    replicas: list[int]
    in_sync: list[int]
    first_offset: int | None
    next_offset: int | None


@dataclass(frozen=True)
class Topic:
    name: str
    id: str | None  # a topic that is deleted and recreated gets another id; None: the brokers do not tell it
    compacted: bool  # then there are fewer records than offsets
    partitions: list[Partition]


@dataclass(frozen=True)
class Member:
    id: str
    client: str
    host: str
    partitions: list[int]


@dataclass(frozen=True)
class Progress:
    partition: int
    committed: int | None  # None: nothing yet
    lag: int | None
    # How long the oldest waiting record has been in the topic; 0 if none waits. None: not known, or not asked for (see lag.py).
    oldest_seconds: float | None = None


@dataclass(frozen=True)
class Group:
    name: str
    state: str  # Kafka's word: Stable, Empty, PreparingRebalance, ...
    members: list[Member]
    partitions: list[Progress]


@dataclass(frozen=True)
class Overview:
    time_us: int
    brokers: list[Broker]
    topics: list[Topic]
    groups: list[Group]


class Observer:
    """Asks about `topics`, and about the groups that read the first of them."""

    def __init__(self, topics: list[str]) -> None:
        self.topics = topics
        self._lock = asyncio.Lock()
        self._reading = asyncio.Lock()
        self._admin: Admin | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._addresses: dict[int, tuple[str, int]] = {}
        self._compacted: dict[str, bool] = {}
        self._kept: tuple[float, Overview] | None = None

    async def overview(self) -> Overview:
        """An overview that is not older than KEPT_SECONDS. Raises Away."""
        async with self._lock:
            if self._kept is None or time.monotonic() - self._kept[0] > KEPT_SECONDS:
                found = await self._ask()
                self._kept = time.monotonic(), found
            return self._kept[1]

    async def newest(self, topic: str, partition: int, limit: int, bytes_most: int) -> Newest:
        """The records of the newest `limit` offsets, or of fewer where they are large. Raises Away or TooSlow."""
        async with self._lock:
            _, consumer = await self._clients()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS), self._reading:
                return await newest(consumer, TopicPartition(topic, partition), limit, bytes_most)
        except TimeoutError:
            raise TooSlow from None
        except KafkaError:
            raise Away from None

    async def appended_us(self, topic: str, partition: int, offset: int) -> int | None:
        """The time of the first record from that offset on, in microseconds since the epoch; None if there is none.

        Raises Away or TooSlow.
        """
        tp = TopicPartition(topic, partition)
        async with self._lock:
            _, consumer = await self._clients()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS), self._reading:
                consumer.assign([tp])
                try:
                    consumer.seek(tp, max(offset, (await consumer.beginning_offsets([tp]))[tp]))
                    found = (await consumer.getmany(tp, timeout_ms=1000, max_records=1)).get(tp, [])
                finally:
                    consumer.pause(tp)  # see newest.py
        except TimeoutError:
            raise TooSlow from None
        except KafkaError:
            raise Away from None
        return found[0].timestamp * 1000 if found else None

    async def close(self) -> None:
        admin, consumer, self._admin, self._consumer = self._admin, self._consumer, None, None
        if consumer is not None:
            await consumer.stop()
        if admin is not None:
            await admin.close()

    async def _clients(self) -> tuple[Admin, AIOKafkaConsumer]:
        if self._admin is not None and self._consumer is not None:
            return self._admin, self._consumer
        options = connection.options(REQUEST_TIMEOUT_SECONDS)
        self._admin = Admin(**options)
        self._consumer = AIOKafkaConsumer(**options, group_id=None, enable_auto_commit=False, fetch_max_wait_ms=100)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await asyncio.gather(self._admin.start(), self._consumer.start())
        except (KafkaError, TimeoutError, OSError):
            await self.close()
            raise Away from None
        return self._admin, self._consumer

    async def _ask(self) -> Overview:
        admin, consumer = await self._clients()
        for attempt in range(3):  # each attempt asks a random broker, which may be away
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS / 2):
                    cluster = await admin.describe_cluster()
                    described = await admin.describe_topics(self.topics)
                break
            except (KafkaError, TimeoutError, OSError):
                if attempt == 2:
                    await self.close()  # new clients ask the bootstrap servers again
                    raise Away from None
        described = [topic for topic in described if not topic["error_code"]]
        nodes = {broker["node_id"]: (broker["host"], broker["port"]) for broker in cluster["brokers"]}
        self._addresses |= nodes
        names = [topic["topic"] for topic in described]
        groups, offsets, ids, _ = await asyncio.gather(
            self._groups(admin, list(nodes)),
            self._offsets(consumer, described),
            _or_none(topic_ids(admin, names)),
            self._look_for_compaction(admin, names),
        )
        online = {node for node, answer in groups.items() if answer is not None}
        replicas = {node for topic in described for partition in topic["partitions"] for node in partition["replicas"]}
        brokers = []
        for node in sorted(nodes.keys() | replicas):
            host, port = self._addresses.get(node, (None, None))
            brokers.append(Broker(node, host, port, "online" if node in online else "away", node == cluster["controller_id"]))
        described.sort(key=lambda topic: self.topics.index(topic["topic"]))
        topics = [self._topic(topic, (ids or {}).get(topic["topic"]), offsets) for topic in described]
        found = {group for answer in groups.values() for group in answer or []}
        ours_first = sorted(found, key=lambda name: (name != settings.CONSUMER_GROUP, name))
        source = next((topic for topic in topics if topic.name == self.topics[0]), None)
        readers = await asyncio.gather(*(self._group(admin, name, source) for name in ours_first[:GROUPS_MAX]))
        return Overview(time.time_ns() // 1000, brokers, topics, [group for group in readers if group is not None])

    def _topic(self, topic: dict[str, Any], topic_id: str | None, offsets: dict[TopicPartition, tuple[int, int]]) -> Topic:
        name = topic["topic"]
        partitions = []
        for partition in sorted(topic["partitions"], key=lambda p: p["partition"]):
            first, following = offsets.get(TopicPartition(name, partition["partition"]), (None, None))
            leader = partition["leader"] if partition["leader"] >= 0 else None
            partitions.append(Partition(partition["partition"], leader, partition["replicas"], sorted(partition["isr"]), first, following))
        return Topic(name, topic_id, self._compacted.get(name, False), partitions)

    async def _groups(self, admin: Admin, nodes: list[int]) -> dict[int, list[str] | None]:
        """By broker: the groups that it coordinates, or None if it does not answer."""
        answers = await asyncio.gather(*(_or_none(admin.list_consumer_groups([node])) for node in nodes))
        return {
            node: None if answer is None else [group[0] for group in answer if group[1] == "consumer"]
            for node, answer in zip(nodes, answers, strict=True)
        }

    async def _group(self, admin: Admin, name: str, source: Topic | None) -> Group | None:
        """None for a group that has nothing to do with the source topic, or can't be asked."""
        if source is None or (coordinator := await _or_none(admin.find_coordinator(name))) is None:
            return None
        tps = [TopicPartition(source.name, partition.partition) for partition in source.partitions]
        committed, described = await asyncio.gather(
            _or_none(admin.list_consumer_group_offsets(name, coordinator, tps)),
            _or_none(admin.describe_consumer_groups([name], coordinator)),
        )
        if committed is None or described is None:
            return None
        group = described[0].to_object()["groups"][0]
        members = [
            Member(member["member_id"], member["client_id"], member["client_host"], _assigned(member["member_assignment"], source.name))
            for member in group["members"]
        ]
        progress = []
        for partition, tp in zip(source.partitions, tps, strict=True):
            offset = committed[tp].offset if tp in committed and committed[tp].offset >= 0 else None
            progress.append(Progress(partition.partition, offset, lag(offset, partition.first_offset, partition.next_offset)))
        if name != settings.CONSUMER_GROUP and not any(m.partitions for m in members) and all(p.committed is None for p in progress):
            return None
        return Group(name, group["state"], members, progress)

    async def _offsets(self, consumer: AIOKafkaConsumer, topics: list[dict[str, Any]]) -> dict[TopicPartition, tuple[int, int]]:
        """The first and the next offset of each partition whose leader answers."""
        of_leader: dict[int, list[TopicPartition]] = defaultdict(list)
        for topic in topics:
            for partition in topic["partitions"]:
                if partition["leader"] >= 0:
                    of_leader[partition["leader"]].append(TopicPartition(topic["topic"], partition["partition"]))
        found: dict[TopicPartition, tuple[int, int]] = {}
        questions = (_or_none(asyncio.gather(consumer.beginning_offsets(tps), consumer.end_offsets(tps))) for tps in of_leader.values())
        for tps, answer in zip(of_leader.values(), await asyncio.gather(*questions), strict=True):
            if answer is not None:
                found |= {tp: (answer[0][tp], answer[1][tp]) for tp in tps}
        return found

    async def _look_for_compaction(self, admin: Admin, topics: Iterable[str]) -> None:
        """Asks once for each topic."""
        if not (new := [topic for topic in topics if topic not in self._compacted]):
            return
        answer = await _or_none(admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in new]))
        for _, _, _, name, entries in answer[0].resources if answer else []:
            self._compacted[name] = any(entry[0] == "cleanup.policy" and "compact" in entry[1] for entry in entries)


def lag(committed: int | None, first: int | None, following: int | None) -> int | None:
    """How many records a group has still to read. Deleted records don't count. Without a committed offset, all records do."""
    if first is None or following is None:
        return None
    return max(0, following - max(committed or 0, first))


def _assigned(assignment: bytes, topic: str) -> list[int]:
    if not assignment:  # while the group rebalances
        return []
    decoded = ConsumerProtocolMemberAssignment.decode(assignment)
    return sorted(partition for name, partitions in decoded.assignment if name == topic for partition in partitions)


async def _or_none(question: Awaitable[Any]) -> Any:
    """The answer, or None if no broker gives one in time."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await question
    except (KafkaError, TimeoutError, OSError):
        return None
