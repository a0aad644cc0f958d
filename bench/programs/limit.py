"""The limit of recording: aiokafka alone. Records in batches, JSON read, rows in a dict, the changelog acknowledged before the commit."""

import asyncio
import os
import time

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer


async def main() -> None:
    bootstrap, changelog = os.environ["BOOTSTRAP"], os.environ["CHANGELOG"]
    rows: dict[bytes, object] = {}
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
                for record in records:
                    rows[record.key] = orjson.loads(record.value)
                    if batch.append(timestamp=now_ms, key=record.key, value=record.value) is None:
                        acknowledgements.append(await producer.send_batch(batch, changelog, partition=tp.partition))
                        batch = producer.create_batch()
                        batch.append(timestamp=now_ms, key=record.key, value=record.value)
                acknowledgements.append(await producer.send_batch(batch, changelog, partition=tp.partition))
            if acknowledgements:
                await asyncio.gather(*acknowledgements)
                await consumer.commit()


asyncio.run(main())
