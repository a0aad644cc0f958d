"""The floor of latency: one process that produces (acks=all) and consumes by aiokafka; no HTTP, no table.

Prints the times from when each was due to consumed in microseconds, as JSON: COUNT events one by one, or RATE of them a second. With
CHANGELOG it produces each consumed event once more, to that topic, and the times end where that is appended, by the broker's clock.
"""

import asyncio
import json
import os
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

COUNT, RATE, TOPIC = int(os.environ["COUNT"]), float(os.environ["RATE"]), os.environ["TOPIC"]
WARM_UP, CHANGELOG = int(os.environ["WARM_UP"]), os.environ.get("CHANGELOG")


async def main() -> None:
    took_us: dict[int, int] = {}
    async with (
        AIOKafkaConsumer(
            TOPIC, bootstrap_servers=os.environ["BOOTSTRAP"], group_id=os.environ["GROUP"], auto_offset_reset="earliest"
        ) as consumer,
        AIOKafkaProducer(bootstrap_servers=os.environ["BOOTSTRAP"], acks="all") as producer,
        AIOKafkaProducer(bootstrap_servers=os.environ["BOOTSTRAP"], acks="all") as changelog_producer,
    ):
        under_way = set()

        async def write(record: ConsumerRecord, event: dict[str, int]) -> None:
            appended = await changelog_producer.send_and_wait(CHANGELOG, record.value, key=record.key)
            took_us[event["id"]] = appended.timestamp * 1000 - event["due_us"]

        async def consume() -> None:
            async for record in consumer:
                now_us = time.time_ns() // 1000
                event = json.loads(record.value)
                if CHANGELOG is None:
                    took_us[event["id"]] = now_us - event["due_us"]
                else:
                    task = asyncio.create_task(write(record, event))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)

        async def send(number: int, due_us: int) -> None:
            event = {"id": number, "due_us": due_us}
            await producer.send_and_wait(TOPIC, json.dumps(event).encode(), key=str(number).encode())

        consuming = asyncio.create_task(consume())
        for number in range(WARM_UP):
            await send(-1 - number, time.time_ns() // 1000)
        began, began_us, sending = time.monotonic(), time.time_ns() // 1000, set()
        for number in range(COUNT):
            if not RATE:
                await send(number, time.time_ns() // 1000)
                continue
            await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
            task = asyncio.create_task(send(number, began_us + int(number * 1e6 / RATE)))
            sending.add(task)
            task.add_done_callback(sending.discard)
        while not all(number in took_us for number in range(COUNT)):
            await asyncio.sleep(0.05)
        consuming.cancel()
    print(json.dumps([took_us[number] for number in range(COUNT)]))


asyncio.run(main())
