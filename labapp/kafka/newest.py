"""The newest records of a partition, read backwards in steps, so that large ones don't cost more than is shown of them."""

from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

# Each record may have a megabyte. Reading ends with the step that goes beyond BYTES_MOST.
OFFSETS_A_STEP = 8
BYTES_MOST = 4_000_000


class Newest(NamedTuple):
    records: list[ConsumerRecord]  # newest first
    truncated: bool  # older records among those offsets were not read


async def newest(consumer: AIOKafkaConsumer, tp: TopicPartition, limit: int, bytes_most: int) -> Newest:
    """The records of the newest `limit` offsets, or of fewer where they are large. Raises KafkaError."""
    first, end = (await consumer.beginning_offsets([tp]))[tp], (await consumer.end_offsets([tp]))[tp]
    oldest, stop = max(first, end - limit), end
    records, size = list[ConsumerRecord](), 0
    consumer.assign([tp])
    try:
        while stop > oldest and size < bytes_most:
            start = max(oldest, stop - OFFSETS_A_STEP)
            consumer.seek(tp, start)
            step = list[ConsumerRecord]()
            while await consumer.position(tp) < stop:
                step += (await consumer.getmany(tp, timeout_ms=200)).get(tp, [])
            step = [record for record in step if record.offset < stop]
            records += reversed(step)
            size += sum(map(_size, step))
            stop = start
    finally:
        # This stops the fetching. An unsubscribe could come before aiokafka's task has seen the assignment, and end that task for good.
        consumer.pause(tp)
    return Newest(records, stop > oldest)


def _size(record: ConsumerRecord) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.value or b"") + len(record.key or b"") + headers
