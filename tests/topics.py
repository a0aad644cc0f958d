"""Topics read and written by plain aiokafka, as any other program would."""

import asyncio
import itertools
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int16, Int32, Schema, String

Written = tuple[bytes | None, bytes | None]  # key, value


Headers = list[tuple[str, bytes]]


def write(bootstrap: str, topic: str, records: Iterable[Written], partition: int | None = None, headers: Headers | None = None) -> None:
    """Returns once all are acknowledged. A record with neither key nor value needs a partition."""
    asyncio.run(_write(bootstrap, topic, list(records), partition, headers))


async def _write(bootstrap: str, topic: str, records: list[Written], partition: int | None, headers: Headers | None) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=2) as producer:
        if partition is None:
            await asyncio.gather(*[await producer.send(topic, value, key=key, headers=headers) for key, value in records])
            return
        batch = producer.create_batch()
        for key, value in records:
            if batch.append(key=key, value=value, timestamp=None, headers=headers or []) is None:
                await (await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                batch.append(key=key, value=value, timestamp=None, headers=headers or [])
        await (await producer.send_batch(batch, topic, partition=partition))


def read(bootstrap: str, topic: str) -> list[ConsumerRecord]:
    """All records that the topic has now, partition by partition."""
    return asyncio.run(_read(bootstrap, topic))


async def _read(bootstrap: str, topic: str) -> list[ConsumerRecord]:
    async with AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        ends = await consumer.end_offsets(await _partitions(consumer, topic))
        found: dict[TopicPartition, list[ConsumerRecord]] = {tp: [] for tp in ends}
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for tp, records in (await consumer.getmany(timeout_ms=500)).items():
                found[tp] += records
        return [record for tp in sorted(found) for record in found[tp]]


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    while not (partitions := consumer.partitions_for_topic(topic)):
        await consumer._client.force_metadata_update()
    return [TopicPartition(topic, partition) for partition in partitions]


def committed(bootstrap: str, group: str, topic: str) -> dict[int, int]:
    """The group's committed offsets by partition."""
    return asyncio.run(_committed(bootstrap, group, topic))


async def _committed(bootstrap: str, group: str, topic: str) -> dict[int, int]:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        offsets = await client.list_consumer_group_offsets(group)
        return {tp.partition: offset.offset for tp, offset in offsets.items() if tp.topic == topic and offset.offset >= 0}
    finally:
        await client.close()


def make(bootstrap: str, topic: str, partitions: int, config: dict[str, str] | None = None) -> None:
    asyncio.run(_create(bootstrap, NewTopic(topic, partitions, 2, topic_configs=config)))


async def _create(bootstrap: str, topic: NewTopic) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        response = await client.create_topics([topic])
        assert not any(code for _, code, *_ in response.topic_errors), response
        while (await client.describe_topics([topic.name]))[0]["error_code"]:
            await asyncio.sleep(0.05)
    finally:
        await client.close()


@contextmanager
def member_of(bootstrap: str, group: str, topic: str) -> Iterator[None]:
    """A plain consumer is a member of the group meanwhile."""
    loop = asyncio.new_event_loop()

    async def join() -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=group)
        await consumer.start()
        while not consumer.assignment():
            await consumer.getmany(timeout_ms=100)
        return consumer

    consumer = loop.run_until_complete(join())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(consumer.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def configure(bootstrap: str, topic: str, config: dict[str, str]) -> None:
    """Sets settings of a topic; all others get their default."""
    asyncio.run(_configure(bootstrap, topic, config))


async def _configure(bootstrap: str, topic: str, config: dict[str, str]) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, config)])
    finally:
        await client.close()


def make_on(bootstrap: str, topic: str, brokers: list[int], config: dict[str, str]) -> None:
    """Makes a topic with one copy of each partition: partition n on the broker with the id `brokers[n]`."""
    assignments = {partition: [broker] for partition, broker in enumerate(brokers)}
    asyncio.run(_create(bootstrap, NewTopic(topic, -1, -1, assignments, config)))


def remove(bootstrap: str, topic: str) -> None:
    """Deletes a topic. Returns once no broker lists it."""
    asyncio.run(_remove(bootstrap, topic))


async def _remove(bootstrap: str, topic: str) -> None:
    for server in bootstrap.split(","):
        client = AIOKafkaAdminClient(bootstrap_servers=server)
        await client.start()
        try:
            if topic in await client.list_topics():
                await client.delete_topics([topic])
            while topic in await client.list_topics():
                await asyncio.sleep(0.05)
        finally:
            await client.close()


def delete_records(bootstrap: str, topic: str, partition: int, before: int) -> None:
    """Deletes the records below the offset `before`; the offsets of what follows stay."""
    asyncio.run(_delete_records(bootstrap, TopicPartition(topic, partition), before))


async def _delete_records(bootstrap: str, tp: TopicPartition, before: int) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        while True:
            try:
                await client.delete_records({tp: RecordsToDelete(before)})
                return
            except OffsetOutOfRangeError:  # written, but not yet on all replicas
                await asyncio.sleep(0.05)
    finally:
        await client.close()


def write_transaction(bootstrap: str, topic: str, partition: int, records: Iterable[Written], commit: bool) -> None:
    """Writes records in one transaction, which leaves a marker behind them, and commits or aborts it."""
    asyncio.run(_write_transaction(bootstrap, topic, partition, list(records), commit))


async def _write_transaction(bootstrap: str, topic: str, partition: int, records: list[Written], commit: bool) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"of-{topic}") as producer:
        await producer.begin_transaction()
        for key, value in records:
            await producer.send_and_wait(topic, value, key=key, partition=partition)
        if commit:
            await producer.commit_transaction()
        else:
            await producer.abort_transaction()


def coordinator(bootstrap: str, group: str) -> int:
    """The id of the broker that coordinates the group."""
    return asyncio.run(_coordinator(bootstrap, group))


async def _coordinator(bootstrap: str, group: str) -> int:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        return await client.find_coordinator(group)
    finally:
        await client.close()


def written_one_by_one(bootstrap: str, topic: str, partition: int) -> Iterator[int]:
    """Writes {"id": 0}, {"id": 1}, ... and yields each number once its record is acknowledged, for as long as the caller goes on."""
    loop = asyncio.new_event_loop()

    async def start() -> AIOKafkaProducer:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, metadata_max_age_ms=1000)
        await producer.start()
        return producer

    producer = loop.run_until_complete(start())
    try:
        for number in itertools.count():
            key, value = b"%d-%d" % (partition, number), b'{"id":%d}' % number
            loop.run_until_complete(producer.send_and_wait(topic, value, key=key, partition=partition))
            yield number
    finally:
        loop.run_until_complete(producer.stop())
        loop.close()


def copies(bootstrap: str, topic: str) -> set[int]:
    """How many copies the partitions have: one number, where all have as many."""
    return asyncio.run(_copies(bootstrap, topic))


async def _copies(bootstrap: str, topic: str) -> set[int]:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        [described] = await client.describe_topics([topic])
        return {len(partition["replicas"]) for partition in described["partitions"]}
    finally:
        await client.close()


class LeadersAnswer(Response):
    API_KEY = 43
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            Array(
                ("topic", String("utf-8")),
                ("partitions", Array(("partition", Int32), ("error_code", Int16), ("error_message", String("utf-8")))),
            ),
        ),
    )


class LeadersAsked(RequestStruct):
    API_KEY = 43
    API_VERSION = 0
    RESPONSE_TYPE = LeadersAnswer
    SCHEMA = Schema(("topics", Array(("topic", String("utf-8")), ("partitions", Array(Int32)))), ("timeout_ms", Int32))


class ElectLeaders(Request[LeadersAsked]):
    """Elects the preferred leader of each partition of all topics; aiokafka has no such call."""

    API_KEY = 43

    def build(self, request_struct_class: type[LeadersAsked]) -> LeadersAsked:
        return request_struct_class(None, 10_000)


def leaders_home(bootstrap: str) -> None:
    """Lets each partition's first replica lead it again. Returns once all do, so all brokers must run."""
    asyncio.run(_leaders_home(bootstrap))


async def _leaders_home(bootstrap: str) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        # The answer lists what was not at home. A replica that has not caught up yet can't lead.
        while any(partitions for _, partitions in (await client._send_to_controller(ElectLeaders())).results):
            await asyncio.sleep(0.05)
    finally:
        await client.close()
