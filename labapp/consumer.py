"""The agent of the consumer group: stamps *consumed*, writes the row, and only then lets the offset be committed.

What can't be recorded goes to the dead-letter topic. What is in hand when Kafka goes away is tried again for
RECORD_TIMEOUT_SECONDS; then the process ends, and whoever starts it anew reads it from the committed offset. It does not raise:
Faust acks what an agent fails on, and so loses it (faust/streams.py).
"""

import asyncio
import logging
import os
from typing import Any, NoReturn

from aiokafka.errors import KafkaError

from labapp import feed, metrics, settings, tracing
from labapp.app import EX_SOFTWARE, app, events, kafka_producer, source
from labapp.batches import Batch
from labapp.changes import Changes, changes_of
from labapp.dead_letters import bury
from labapp.events import now_us, offset_of
from labapp.table import Rows

log = logging.getLogger(__name__)


@app.agent(source)
async def record(stream: Any) -> None:
    # One batch of a partition at a time, in order; of several partitions together, since most of the time goes by in waiting for
    # acknowledgements. Without noack Faust would ack a batch on SIGTERM, unrecorded.
    under_way: dict[int, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as group:
        async for event in stream.noack().events():
            partition = event.value[0].partition
            if before := under_way.get(partition):
                await before
            under_way[partition] = group.create_task(record_and_ack(event))


@tracing.recorded
async def record_and_ack(event: Any) -> None:
    try:
        await record_or_exit(event.value)
    except Exception:  # a defect of ours, behind what is tried again
        log.critical("A defect in the consumer: this worker ends; nothing is lost", exc_info=True)
        exit_at_once()
    event.ack()


async def record_or_exit(batch: Batch) -> None:
    """Returns once the brokers have acknowledged all that is to be written of the batch, or ends the process."""
    consumed_us = now_us()
    partition, rows = batch[0].partition, events.owned.get(batch[0].partition, Rows())
    changes: Changes | None = None
    dead = 0
    try:
        # Both brokers away raise nothing, they only take no message: hence one time-out around everything.
        async with asyncio.timeout(settings.RECORD_TIMEOUT_SECONDS):
            while True:
                try:
                    changes = changes or changes_of(batch, rows, consumed_us)
                    await bury(kafka_producer(), changes.dead_letters)
                    dead += len(changes.dead_letters)
                    changes.dead_letters.clear()
                    if changes.rows:
                        await events.put(partition, changes.rows)
                    break
                except Exception as exc:  # mostly KafkaError; but none at all may reach Faust
                    log.warning(
                        "Partition %s, offsets %s to %s: not recorded yet, trying again: %r",
                        partition,
                        batch.start,
                        batch.end - 1,
                        exc,
                        exc_info=not isinstance(exc, KafkaError),
                    )
                    await asyncio.sleep(0.2)
    except TimeoutError:
        log.critical(
            "Partition %s, offsets %s to %s: Kafka did not take the rows in %g s, so this worker ends; nothing is lost",
            partition,
            batch.start,
            batch.end - 1,
            settings.RECORD_TIMEOUT_SECONDS,
        )
        exit_at_once()
    metrics.count_batch(batch, changes.rows, len(changes.fresh), dead)
    if changes.reorder:
        rows.sort(by=offset_of)
    for value in changes.fresh:
        feed.add(value, consumed_us)
    feed.tell()


def exit_at_once() -> NoReturn:
    """SystemExit raised in an agent would hang a Faust worker."""
    logging.shutdown()
    os._exit(EX_SOFTWARE)


@events.on_recover
async def put_in_order() -> None:
    """The rows of a partition are kept in the order of offsets, which compaction of the changelog does not keep."""
    for rows in events.owned.values():
        rows.sort(by=offset_of)


@app.task
async def announce() -> None:
    log.info("Starting consumer on topic %s, in group %s", settings.KAFKA_TOPIC, settings.CONSUMER_GROUP)
