"""Writes events to a topic at a steady rate, a batch every 10 ms or so to one partition after the other."""

import asyncio
import os
import time
import uuid

from aiokafka import AIOKafkaProducer

TICK_SECONDS = 0.01


async def main() -> None:
    topic, partitions, rate = os.environ["TOPIC"], int(os.environ["PARTITIONS"]), float(os.environ["RATE"])
    async with AIOKafkaProducer(bootstrap_servers=os.environ["BOOTSTRAP"], acks="all", max_batch_size=400_000) as producer:
        began, written, turn = time.monotonic(), 0, 0
        while True:
            await asyncio.sleep(TICK_SECONDS)
            due = min(int((time.monotonic() - began) * rate) - written, 1000)
            if due <= 0:
                continue
            batch, now_us = producer.create_batch(), time.time_ns() // 1000
            stamps = [("received_us", b"%d" % now_us), ("produced_us", b"%d" % now_us)]
            for number in range(written, written + due):
                value = b'{"id":%d,"clicked":%d,"produced":"06:15:43:875"}' % (number, now_us // 1000)
                batch.append(timestamp=None, key=str(uuid.uuid4()).encode(), value=value, headers=stamps)
            await producer.send_batch(batch, topic, partition=turn % partitions)
            written, turn = written + due, turn + 1


asyncio.run(main())
