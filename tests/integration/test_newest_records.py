"""The newest records of a partition, as /records and /dead-letters show them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from labapp.kafka import newest
from tests import topics
from tests.conftest import Kafka
from tests.worker import Worker, wait_for

LARGE = b'{"text":"%s"}' % (b"x" * 900_000)


@pytest.fixture
def worker(start_worker: Callable[..., Worker]) -> Worker:
    return start_worker(KAFKA_PARTITIONS=1).ready()


def read(worker: Worker, path: str) -> dict[str, Any]:
    """The answer, once there is one: brokers on a busy machine may be too slow for it."""
    answer = wait_for(lambda: (found := worker.get(path)).status != 503 and found, path)
    assert answer.status == 200
    return answer.json


def write(worker: Worker, kafka: Kafka, names: dict[str, str], values: list[bytes], headers: topics.Headers | None = None) -> None:
    """Returns once a consumer sees all of them, which is a moment after the acknowledgement."""
    topics.write(kafka.bootstrap, names["KAFKA_TOPIC"], [(b"%d" % number, value) for number, value in enumerate(values)], headers=headers)

    def newest() -> list[int]:
        return [record["offset"] for record in read(worker, "/records?partition=0&limit=1")["records"]]

    wait_for(lambda: newest() == [len(values) - 1], "the last record")


@pytest.mark.parametrize(("value", "headers"), [(LARGE, []), (b"{}", [("text", LARGE)])], ids=["values", "headers"])
def test_large_records_are_not_all_read(value: bytes, headers: topics.Headers, worker: Worker, kafka: Kafka, names: dict[str, str]) -> None:
    """Fewer than asked for are shown, the newest, and the answer says so. Not many more than are shown are read."""
    write(worker, kafka, names, [value] * 40, headers)

    answer = read(worker, "/records?partition=0&limit=40")

    offsets = [record["offset"] for record in answer["records"]]
    assert answer["truncated"] is True
    assert 4 <= len(offsets) <= newest.OFFSETS_A_STEP
    assert offsets == list(range(39, 39 - len(offsets), -1))
    assert asyncio.run(bytes_read(kafka.bootstrap, TopicPartition(names["KAFKA_TOPIC"], 0), 40)) < 12_000_000


async def bytes_read(bootstrap: str, tp: TopicPartition, limit: int) -> int:
    """How many bytes come from Kafka for the newest records."""
    consumer, read = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False), 0
    await consumer.start()
    getmany = consumer.getmany

    async def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal read
        found = await getmany(*arguments, **options)
        read += sum(len(record.value) + len(dict(record.headers).get("text", b"")) for records in found.values() for record in records)
        return found

    consumer.getmany = counted
    try:
        await newest.newest(consumer, tp, limit, newest.BYTES_MOST)
    finally:
        await consumer.stop()
    return read


def test_an_empty_partition_is_no_trouble(worker: Worker, kafka: Kafka, names: dict[str, str]) -> None:
    """It has no records, however often it is read, and others can be read after it."""
    for _ in range(20):
        for path in ("/records?partition=0", "/dead-letters"):
            assert read(worker, path) == {"records": [], "truncated": False}
    write(worker, kafka, names, [b"{}"])

    assert [record["key"] for record in read(worker, "/records?partition=0")["records"]] == ["0"]
    assert "Traceback" not in worker.log


def test_small_records_are_all_shown(worker: Worker, kafka: Kafka, names: dict[str, str]) -> None:
    """As many as were asked for, newest first, whatever the size of a step."""
    write(worker, kafka, names, [b"{}"] * 30)

    for limit in (1, 7, 8, 9, 29, 30, 100):
        answer = read(worker, f"/records?partition=0&limit={limit}")
        assert [record["offset"] for record in answer["records"]] == list(range(29, 29 - min(limit, 30), -1))
        assert answer["truncated"] is False
