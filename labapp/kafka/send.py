"""Sends the table's changelog messages and the dead letters: many messages at once to one partition, tombstones included."""

import asyncio
import time
from collections.abc import Iterable
from typing import NamedTuple

from aiokafka import AIOKafkaProducer, TopicPartition

Message = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]  # key, value, headers


class Acknowledged(NamedTuple):
    """A batch that all in-sync replicas have: its first offset, how many messages it has, and their timestamp."""

    offset: int
    messages: int
    timestamp_ms: int
    timestamp_type: int


# The most bytes that a message takes in a batch beside its key and value, and a batch beside its messages (KIP-98).
MESSAGE_OVERHEAD_BYTES, BATCH_OVERHEAD_BYTES = 32, 61


async def send(
    producer: AIOKafkaProducer, tp: TopicPartition, messages: Iterable[Message], batch_bytes_max: int | None = None
) -> list[Acknowledged]:
    """Sends messages in their order. Returns once they are acknowledged, batch by batch. Raises KafkaError.

    aiokafka's own `send` refuses a message that has neither key nor value, and makes a future for each message. A batch is as large as
    the producer allows, or as `batch_bytes_max` if the topic allows less. A single message may be larger.
    """
    now_ms = int(time.time() * 1000)
    batches = [producer.create_batch()]
    acknowledgements = []
    for key, value, headers in messages:
        batch = batches[-1]
        if batch_bytes_max is not None and batch.record_count():
            too_large = batch.size() + size_of(key, value, headers) > batch_bytes_max
        else:
            too_large = False
        if too_large or batch.append(timestamp=now_ms, key=key, value=value, headers=headers) is None:
            acknowledgements.append(await producer.send_batch(batch, tp.topic, partition=tp.partition))
            batches.append(producer.create_batch())
            batches[-1].append(timestamp=now_ms, key=key, value=value, headers=headers)  # an empty batch takes any message
    acknowledgements.append(await producer.send_batch(batches[-1], tp.topic, partition=tp.partition))
    acknowledged = await asyncio.gather(*acknowledgements)
    return [
        Acknowledged(metadata.offset, batch.record_count(), metadata.timestamp, metadata.timestamp_type)
        for metadata, batch in zip(acknowledged, batches, strict=True)
    ]


def size_of(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]] = ()) -> int:
    """The most bytes that a message takes in a batch."""
    of_headers = sum(len(name.encode()) + len(text or b"") + 10 for name, text in headers)
    return len(key or b"") + len(value or b"") + of_headers + MESSAGE_OVERHEAD_BYTES
