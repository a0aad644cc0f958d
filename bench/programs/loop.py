"""aiokafka's own way: one record after the other, its JSON read, nothing kept."""

import asyncio
import os

import orjson
from aiokafka import AIOKafkaConsumer


async def main() -> None:
    async with AIOKafkaConsumer(
        os.environ["TOPIC"],
        bootstrap_servers=os.environ["BOOTSTRAP"],
        group_id=os.environ["GROUP"],
        auto_offset_reset="earliest",
        auto_commit_interval_ms=200,
    ) as consumer:
        async for record in consumer:
            orjson.loads(record.value)


asyncio.run(main())
