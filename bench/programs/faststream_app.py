"""FastStream: the event as a dict, nothing kept. Without its log line an event, which is on by default."""

import asyncio
import os
from typing import Any

from faststream import FastStream
from faststream.kafka import KafkaBroker

broker = KafkaBroker(os.environ["BOOTSTRAP"].split(","), logger=None)
app = FastStream(broker)


@broker.subscriber(os.environ["TOPIC"], group_id=os.environ["GROUP"], auto_offset_reset="earliest", auto_commit_interval_ms=200)
async def record(event: dict[str, Any]) -> None:
    pass


asyncio.run(app.run())
