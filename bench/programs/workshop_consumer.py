"""A consumer as the workshop had it: aiokafka's loop with a log line an event, and aiohttp, which hands out what was consumed.

`consumed_us` is for the bench: the workshop's own `consumed` knows milliseconds only.
"""

import asyncio
import json
import logging
import os
import time
from datetime import datetime
from typing import Any

from aiohttp import web
from aiokafka import AIOKafkaConsumer

logging.basicConfig(level=logging.INFO)
log = logging.getLogger("consumer")
events: list[dict[str, Any]] = []


async def consume() -> None:
    async with AIOKafkaConsumer(
        os.environ["TOPIC"],
        bootstrap_servers=os.environ["BOOTSTRAP"],
        group_id=os.environ["GROUP"],
        auto_offset_reset="earliest",
    ) as consumer:
        async for record in consumer:
            consumed_us = time.time_ns() // 1000
            event = json.loads(record.value)
            event |= {"consumed": datetime.now().strftime("%H:%M:%S:%f")[:-3], "consumed_us": consumed_us}
            log.info("Consumed: %s", event)
            events.append(event)


async def hand_out(request: web.Request) -> web.Response:
    waiting = events[:]
    events.clear()
    return web.json_response(waiting)


async def main() -> None:
    app = web.Application()
    app.router.add_get("/", hand_out)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["PORT"])).start()
    await consume()


asyncio.run(main())
