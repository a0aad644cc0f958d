"""The agent of the consumer group: stamps *consumed*, writes the row, and only then lets the offset be committed.

What can't be recorded goes to the dead-letter topic. What is in hand when Kafka goes away is tried again for
RECORD_TIMEOUT_SECONDS; then the process ends, and whoever starts it anew reads it from the committed offset. It does not raise:
Faust acks what an agent fails on, and so loses it (faust/streams.py).
"""

import asyncio
import logging
import os
from typing import Any, NoReturn, cast

from aiokafka.errors import KafkaError

from labapp import feed, metrics, settings, tracing
from labapp.app import EX_SOFTWARE, app, events, kafka_producer, source
from labapp.batches import Batch, BatchConsumer
from labapp.changes import Changes, changes_of
from labapp.dead_letters import bury
from labapp.events import now_us, offset_of
from labapp.table import Rows

log = logging.getLogger(__name__)

# How many the agent takes, of all partitions together, before the first of them is recorded.
BATCHES_IN_HAND = 8


@app.agent(source)
async def record(stream: Any) -> None:
    # Of one partition a batch is recorded after the other, in order; of several partitions together, since most of the time goes by in
    # waiting for acknowledgements. Without noack Faust would ack a batch on SIGTERM, unrecorded.
    latest: dict[int, asyncio.Task[None]] = {}
    room = asyncio.Semaphore(BATCHES_IN_HAND)
    async with asyncio.TaskGroup() as group:
        async for event in stream.noack().events():
            await room.acquire()
            partition = event.value[0].partition
            turn = in_turn(event, events.owned.get(partition), now_us(), latest.get(partition))
            latest[partition] = task = group.create_task(turn)
            task.add_done_callback(lambda _: room.release())


async def in_turn(event: Any, rows: Rows | None, consumed_us: int, before: asyncio.Task[None] | None) -> None:
    """Records the batch once the one before it is, unless it is to be delivered again: `rows` are its partition's when it was taken."""
    if before is not None:
        await before
    batch = event.value
    # Meanwhile the partition may have gone to another worker, or reading begun anew at the committed offset.
    current = events.owned.get(batch[0].partition) is rows and cast(BatchConsumer, app.consumer).is_current(batch)
    if rows is not None and current:
        await record_and_ack(event, rows, consumed_us)


@tracing.recorded
async def record_and_ack(event: Any, rows: Rows, consumed_us: int) -> None:
    try:
        await record_or_exit(event.value, rows, consumed_us)
    except Exception:  # a defect of ours, behind what is tried again
        log.critical("A defect in the consumer: this worker ends; nothing is lost", exc_info=True)
        exit_at_once()
    event.ack()


async def record_or_exit(batch: Batch, rows: Rows, consumed_us: int) -> None:
    """Returns once the brokers have acknowledged all that is to be written of the batch, or ends the process."""
    partition = batch[0].partition
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
