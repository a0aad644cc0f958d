"""Sending many messages at once to one partition, tombstones included."""

import asyncio
import time
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer, TopicPartition

Message = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]  # key, value, headers


async def send(producer: AIOKafkaProducer, tp: TopicPartition, messages: Iterable[Message]) -> list[tuple[int, int]]:
    """Sends messages in their order. Returns once they are acknowledged: of each batch its first offset and its count. Raises KafkaError.

    aiokafka's own `send` refuses a message that has neither key nor value, and makes a future for each message.
    """
    now_ms = int(time.time() * 1000)
    batches = [producer.create_batch()]
    acknowledgements = []
    for key, value, headers in messages:
        if (
            batches[-1].append(timestamp=now_ms, key=key, value=value, headers=headers) is None
        ):  # it is full; an empty batch takes any message
            acknowledgements.append(await producer.send_batch(batches[-1], tp.topic, partition=tp.partition))
            batches.append(producer.create_batch())
            batches[-1].append(timestamp=now_ms, key=key, value=value, headers=headers)
    acknowledgements.append(await producer.send_batch(batches[-1], tp.topic, partition=tp.partition))
    acknowledged = await asyncio.gather(*acknowledgements)
    return [(metadata.offset, batch.record_count()) for metadata, batch in zip(acknowledged, batches, strict=True)]
