"""The limit of recording: aiokafka alone. Records in batches, JSON read, rows in a dict, the changelog acknowledged before the commit.

With ROWS_KEPT its changelog is byte for byte the app's. It has a row for each event, with its place and stages, and a tombstone for each
row beyond so many a partition. Without it the changelog has the value as it came.
"""

import asyncio
import os
import time
from collections.abc import Iterator

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

ROWS_KEPT = int(os.environ.get("ROWS_KEPT", 0))
ROW = (
    b'{"key":"%s","topic":"%s","partition":%d,"offset":%d,"deliveries":1,"value":%s,'
    b'"stages":{"clicked_us":%d,"received_us":%s,"produced_us":%s,"appended_us":%d,"consumed_us":%d}}'
)


def messages(records: list[ConsumerRecord], rows: dict[bytes, object]) -> Iterator[tuple[bytes, bytes | None]]:
    """What the changelog gets of these records of one partition. Sets their rows, and drops those beyond ROWS_KEPT."""
    topic, consumed_us = records[0].topic.encode(), time.time_ns() // 1000
    for record in records:
        key, event = record.key, orjson.loads(record.value)
        if not ROWS_KEPT:
            rows[key] = event
            yield key, record.value
            continue
        received, produced = record.headers[0][1], record.headers[1][1]
        stages = event["clicked"] * 1000, received, produced, record.timestamp * 1000, consumed_us
        rows[key] = row = ROW % (key, topic, record.partition, record.offset, record.value, *stages)
        yield key, row
        if len(rows) > ROWS_KEPT:
            oldest = next(iter(rows))
            del rows[oldest]
            yield oldest, None


async def main() -> None:
    bootstrap, changelog = os.environ["BOOTSTRAP"], os.environ["CHANGELOG"]
    rows: dict[int, dict[bytes, object]] = {}
    async with (
        AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_batch_size=400_000, max_request_size=2_500_000) as producer,
        AIOKafkaConsumer(
            os.environ["TOPIC"],
            bootstrap_servers=bootstrap,
            group_id=os.environ["GROUP"],
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        ) as consumer,
    ):
        while True:
            fetched = await consumer.getmany(timeout_ms=200)
            acknowledgements = []
            for tp, records in fetched.items():
                now_ms, batch = int(time.time() * 1000), producer.create_batch()
                for key, value in messages(records, rows.setdefault(tp.partition, {})):
                    if batch.append(timestamp=now_ms, key=key, value=value) is None:
                        acknowledgements.append(await producer.send_batch(batch, changelog, partition=tp.partition))
                        batch = producer.create_batch()
                        batch.append(timestamp=now_ms, key=key, value=value)
                acknowledgements.append(await producer.send_batch(batch, changelog, partition=tp.partition))
            if acknowledgements:
                await asyncio.gather(*acknowledgements)
                await consumer.commit()


if __name__ == "__main__":
    asyncio.run(main())
