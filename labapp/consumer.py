"""The agent of the consumer group: stamps *consumed*, writes the row, and only then lets the offset be committed.

What can't be recorded goes to the dead-letter topic. What is in hand when Kafka goes away is tried again for
RECORD_TIMEOUT_SECONDS; then the process ends, and whoever starts it anew reads it from the committed offset. It does not raise:
Faust acks what an agent fails on, and so loses it (faust/streams.py).
"""

import asyncio
import logging
import os
import time
from typing import Any, NamedTuple, NoReturn, cast

from aiokafka.errors import KafkaError

from labapp import feed, metrics, settings, tracing
from labapp.app import EX_SOFTWARE, app, events, kafka_producer, source
from labapp.batches import BATCH_RECORDS, BatchConsumer
from labapp.changes import Changes, changes_of
from labapp.dead_letters import bury
from labapp.events import now_us, offset_of
from labapp.table import Rows

log = logging.getLogger(__name__)

# How many batches the agent takes, of all partitions together, before the first of them is recorded.
BATCHES_IN_HAND = 32
# A write of one row costs as much as one of fifty. So where events come faster than they are written one by one, the next write to that
# partition begins so long after the last, and takes all that came meanwhile. An event that comes alone is written at once.
WRITES_APART_SECONDS = 0.02


class Taken(NamedTuple):
    """A batch, as the value of the stream's event; the rows of its partition when it was taken, if they were this worker's; and when."""

    event: Any
    rows: Rows | None
    consumed_us: int


@app.agent(source)
async def record(stream: Any) -> None:
    # Of one partition all is recorded in order; of several side by side, since most of the time goes by in waiting for
    # acknowledgements. Without noack Faust would ack a batch on SIGTERM, unrecorded.
    waiting: dict[int, asyncio.Queue[Taken]] = {}
    room = asyncio.Semaphore(BATCHES_IN_HAND)
    async with asyncio.TaskGroup() as group:
        async for event in stream.noack().events():
            await room.acquire()
            partition = event.value[0].partition
            if partition not in waiting:
                waiting[partition] = asyncio.Queue()
                group.create_task(record_in_order(partition, waiting[partition], room))
            waiting[partition].put_nowait(Taken(event, events.owned.get(partition), now_us()))


async def record_in_order(partition: int, waiting: asyncio.Queue[Taken], room: asyncio.Semaphore) -> None:
    """Records what waits of a partition, together up to a full batch or so, unless it is to be delivered again."""
    not_before = 0.0
    while True:
        taken = [await waiting.get()]
        if take_more(taken, waiting) < BATCH_RECORDS:
            await asyncio.sleep(not_before - time.monotonic())
            take_more(taken, waiting)
        began = time.monotonic()
        # Meanwhile the partition may have gone to another worker, or reading begun anew at the committed offset.
        rows, is_current = events.owned.get(partition), cast(BatchConsumer, app.consumer).is_current
        current = [one for one in taken if one.rows is rows and is_current(one.event.value)]
        if rows is not None and current:
            await record_and_ack(current, rows)
        for _ in taken:
            room.release()
        not_before = 0 if waiting.empty() else began + WRITES_APART_SECONDS


def take_more(taken: list[Taken], waiting: asyncio.Queue[Taken]) -> int:
    """How many records it makes."""
    count = sum(len(one.event.value) for one in taken)
    while count < BATCH_RECORDS and not waiting.empty():
        taken.append(waiting.get_nowait())
        count += len(taken[-1].event.value)
    return count


@tracing.recorded
async def record_and_ack(taken: list[Taken], rows: Rows) -> None:
    try:
        await record_or_exit(taken, rows)
    except Exception:  # a defect of ours, behind what is tried again
        log.critical("A defect in the consumer: this worker ends; nothing is lost", exc_info=True)
        exit_at_once()
    for one in taken:
        one.event.ack()


async def record_or_exit(taken: list[Taken], rows: Rows) -> None:
    """Returns once the brokers have acknowledged all that is to be written of the batches, or ends the process."""
    batches = [(one.event.value, one.consumed_us) for one in taken]
    first, last = batches[0][0], batches[-1][0]
    partition = first[0].partition
    changes: Changes | None = None
    dead = 0
    try:
        # Both brokers away raise nothing, they only take no message: hence one time-out around everything.
        async with asyncio.timeout(settings.RECORD_TIMEOUT_SECONDS):
            while True:
                try:
                    changes = changes or changes_of(batches, rows)
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
                        first.start,
                        last.end - 1,
                        exc,
                        exc_info=not isinstance(exc, KafkaError),
                    )
                    await asyncio.sleep(0.2)
    except TimeoutError:
        log.critical(
            "Partition %s, offsets %s to %s: Kafka did not take the rows in %g s, so this worker ends; nothing is lost",
            partition,
            first.start,
            last.end - 1,
            settings.RECORD_TIMEOUT_SECONDS,
        )
        exit_at_once()
    metrics.count_recorded(sum(len(batch) for batch, _ in batches), changes.rows, changes.fresh, dead)
    if changes.reorder:
        rows.sort(by=offset_of)
    feed.add(changes.fresh)
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
