"""Warm local brokers of the bench's own, and what the bench asks of them or writes to them."""

import asyncio
import os
import random
import shutil
import tempfile
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from bench.run import free_port, say
from labapp.lab import KAFKA, PORTS, Lab, processes

PARTITIONS = 4
WARM_UP_EVENTS = 20_000
POLL_SECONDS = 0.01
MOVE_SECONDS = 60  # a program that does not move for so long is given up


@dataclass(frozen=True)
class Pace:
    events_a_second: float
    cpu_us_an_event: float


@contextmanager
def brokers() -> Iterator[Lab]:
    """Two brokers and a controller, beside whatever else runs on this machine. They are warmed up, because fresh brokers are slower.

    Their folder is always the same, so that processes that a killed run left are found and ended.
    """
    lab = Lab(Path(tempfile.gettempdir()) / f"labapp-bench-{os.getuid()}", {name: free_port() for name in PORTS})
    _forget(lab)
    try:
        with processes.running(lab, KAFKA, say):
            say("Warming up the brokers ...")
            asyncio.run(_warm_up(lab.bootstrap_servers))
            yield lab
    finally:
        _forget(lab)


def _forget(lab: Lab) -> None:
    processes.forget(lab)
    shutil.rmtree(lab.folder / "programs", ignore_errors=True)  # a program would refuse its store of another cluster's topics


async def _warm_up(bootstrap: str) -> None:
    await make_topic(bootstrap, "warm-up")
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        slots = asyncio.Semaphore(64)

        async def send(number: int) -> None:
            async with slots:
                await producer.send_and_wait("warm-up", b'{"id":%d}' % number, key=b"%d" % number)

        await asyncio.gather(*map(send, range(WARM_UP_EVENTS)))
    async with AIOKafkaConsumer("warm-up", bootstrap_servers=bootstrap, group_id="warm-up", auto_offset_reset="earliest") as consumer:
        read = 0
        while read < WARM_UP_EVENTS:
            read += sum(map(len, (await consumer.getmany(timeout_ms=500)).values()))
            await consumer.commit()


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def make_topic(bootstrap: str, topic: str, partitions: int = PARTITIONS, **config: str) -> None:
    async with _admin(bootstrap) as admin:
        settings = {name.replace("_", "."): value for name, value in config.items()}
        await admin.create_topics([NewTopic(topic, partitions, 2, topic_configs=settings)])
        while (await admin.describe_topics([topic]))[0]["error_code"]:
            await asyncio.sleep(0.05)


async def delete_topics(bootstrap: str, unless: Callable[[str], bool]) -> None:
    """Frees the disk of what is no longer needed."""
    async with _admin(bootstrap) as admin:
        if topics := [topic for topic in await admin.list_topics() if not topic.startswith("__") and not unless(topic)]:
            await admin.delete_topics(topics)


def event(number: int, now_us: int) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    """Key, value and headers as the app's own producer makes them."""
    value = b'{"id":%d,"clicked":%d,"produced":"06:15:43:875"}' % (number, now_us // 1000)
    return str(uuid.UUID(int=random.getrandbits(128))).encode(), value, [("received_us", b"%d" % now_us), ("produced_us", b"%d" % now_us)]


async def fill(bootstrap: str, topic: str, count: int) -> None:
    """A topic with so many events waiting, spread evenly."""
    await make_topic(bootstrap, topic, message_timestamp_type="LogAppendTime")
    async with _producer(bootstrap) as producer:
        for partition in range(PARTITIONS):
            for batch in _batches(producer, partition, count):
                await producer.send_batch(batch, topic, partition=partition)
        await producer.flush()


async def recorded_pace(bootstrap: str, topic: str, changelog: str, events: int, messages: int, used: Callable[[], float]) -> Pace:
    """Like written_pace, for events that are written during the measurement, while the workers wait for them.

    The events are put into batches beforehand, so that writing them takes little CPU.
    """
    async with _producer(bootstrap) as producer:
        waiting = [deque(_batches(producer, partition, events)) for partition in range(PARTITIONS)]

        async def write(partition: int) -> None:
            while waiting[partition]:
                await producer.send_batch(waiting[partition].popleft(), topic, partition=partition)

        writing = asyncio.gather(*map(write, range(PARTITIONS)))
        pace = await written_pace(bootstrap, changelog, events, messages, used)
        await writing
        return pace


def _producer(bootstrap: str) -> AIOKafkaProducer:
    return AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_batch_size=400_000, max_request_size=2_500_000)


def _batches(producer: AIOKafkaProducer, partition: int, count: int) -> Iterator[BatchBuilder]:
    """One partition's share of so many events."""
    batch, now_us = producer.create_batch(), time.time_ns() // 1000
    for number in range(partition, count, PARTITIONS):
        key, value, headers = event(number, now_us)
        if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
            yield batch
            batch = producer.create_batch()
            batch.append(timestamp=None, key=key, value=value, headers=headers)
    yield batch


async def written(bootstrap: str, topic: str) -> int:
    """How many records were written to a topic, all partitions together."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        return sum((await consumer.end_offsets([TopicPartition(topic, number) for number in range(PARTITIONS)])).values())


async def committed(bootstrap: str, group: str, topic: str) -> int:
    """The sum of the group's committed offsets in all partitions."""
    async with _admin(bootstrap) as admin:
        return await _committed(admin, group, topic)


async def _committed(admin: AIOKafkaAdminClient, group: str, topic: str) -> int:
    try:
        offsets = await admin.list_consumer_group_offsets(group)
    except KafkaError:  # the group does not exist yet
        return 0
    return sum(max(0, found.offset) for tp, found in offsets.items() if tp.topic == topic)


async def committed_pace(bootstrap: str, group: str, topic: str, count: int, used: Callable[[], float]) -> Pace:
    """The pace by the group's committed offsets: from their first movement until they have passed `count` events."""
    async with _admin(bootstrap) as admin:
        return await _pace(lambda: _committed(admin, group, topic), count, count, used)


async def written_pace(bootstrap: str, changelog: str, events: int, messages: int, used: Callable[[], float]) -> Pace:
    """The pace by the changelog's end: from its first movement until it has all `messages` of so many `events`.

    The end moves with every batch, while commits come only five times a second. So this can measure even 10,000 events.
    """
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        partitions = [TopicPartition(changelog, number) for number in range(PARTITIONS)]

        async def written() -> int:
            try:
                return sum((await consumer.end_offsets(partitions)).values())
            except KafkaError:  # the app has not made it yet
                await consumer._client.force_metadata_update()
                return 0

        return await _pace(written, events, messages, used)


async def _pace(reached: Callable[[], Awaitable[int]], events: int, end: int, used: Callable[[], float]) -> Pace:
    """The first movement counts as so many events, because an event is one message while no rows expire.

    `used` returns the CPU seconds that the candidate has used. It raises if the candidate has ended.
    """
    first, last, first_at, used_at_first = 0, 0, 0.0, 0.0
    moved_at = time.monotonic()
    while last < end:
        used_now, reached_now, now = used(), await reached(), time.monotonic()
        if reached_now > last:
            if not first:
                first, first_at, used_at_first = reached_now, now, used_now
            last, moved_at = reached_now, now
        elif now - moved_at > MOVE_SECONDS:
            raise TimeoutError(f"{last:,} of {end:,} events, and nothing more for {MOVE_SECONDS} s")
        await asyncio.sleep(POLL_SECONDS)
    if first >= events:
        raise RuntimeError(f"all {events:,} events were done at the first look: more are needed (--events)")
    return Pace((events - first) / (moved_at - first_at), (used_now - used_at_first) * 1e6 / (events - first))
