"""The agent of the consumer group: it takes batches from the stream, stamps *consumed*, and gives each to its partition's writer.

The agent never raises, because Faust acknowledges a message whose agent failed (faust/streams.py), and the events would be lost. A
defect ends the process instead, and whoever runs it starts it again at the committed offset.
"""

import asyncio
import logging
from typing import Any, cast

from aiokafka.errors import KafkaError
from faust.types import TP

from labapp import settings
from labapp.app import app, event_table, kafka_producer, source
from labapp.consume.feed import FEED
from labapp.consume.slow import SLOWNESS
from labapp.consume.writer import WRITERS, Connections, PartitionWriter, run_or_end
from labapp.event.row import offset_of
from labapp.event.rows import newest_offset
from labapp.observe.metrics import COUNTS
from labapp.patched.faust_consumer import BatchConsumer
from labapp.topics import LIMITS
from labapp.worker import exit_at_once

log = logging.getLogger(__name__)

# For a moment, a new leader may report an end offset that is too low.
END_LOOKS, END_LOOKS_APART_SECONDS = 3, 0.5

_shared = Connections(event_table, lambda: cast(BatchConsumer, app.consumer), kafka_producer, lambda: app.rebalancing, LIMITS, COUNTS, FEED)


@app.agent(source)
async def write_rows(stream: Any) -> None:
    # Partitions are written in parallel, because most of the time is spent waiting for acknowledgements. Without noack Faust would ack a
    # batch on SIGTERM, though it is not recorded.
    WRITERS.clear()  # the writers of an earlier run of this agent have ended
    async with asyncio.TaskGroup() as group:
        async for event in stream.noack().events():
            await SLOWNESS.delay(len(event.value))
            partition = event.value[0].partition
            if partition not in WRITERS:
                WRITERS[partition] = PartitionWriter(TP(settings.KAFKA_TOPIC, partition), _shared)
                group.create_task(run_or_end(WRITERS[partition], exit_at_once))
            WRITERS[partition].take(event)


@event_table.on_recover
async def put_in_order() -> None:
    """Puts the rows of each partition in the order of offsets. Compaction of the changelog does not keep that order."""
    for rows in list(event_table.owned.values()):
        rows.sort(by=offset_of)
        await asyncio.sleep(0)  # lets heartbeats be sent
    await notice_restarted_logs()


async def notice_restarted_logs() -> None:
    """Stops reading each partition that ends before its newest row, because its topic was deleted and recreated.

    Its new events would be taken for old events that have expired, and would not be shown. readiness.py then ends the worker.
    """
    consumer = cast(BatchConsumer, app.consumer)
    behind: list[TP] = []
    for _ in range(END_LOOKS):
        newest = {TP(settings.KAFKA_TOPIC, partition): newest_offset(rows) for partition, rows in event_table.owned.items() if rows}
        try:
            async with asyncio.timeout(settings.KAFKA_REQUEST_TIMEOUT_SECONDS):
                ends = await consumer.highwaters(*newest)
        except (KafkaError, TimeoutError):
            return
        behind = [tp for tp, offset in newest.items() if offset >= (ends.get(tp) or 0)]
        if not behind:
            return
        await asyncio.sleep(END_LOOKS_APART_SECONDS)
    consumer.restarted_logs.update(behind)


@app.task
async def watch_slowness() -> None:
    await SLOWNESS.watch(cast(BatchConsumer, app.consumer))


@app.task
async def announce() -> None:
    log.info("Starting consumer on topic %s, in group %s", settings.KAFKA_TOPIC, settings.CONSUMER_GROUP)
