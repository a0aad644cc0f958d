"""The agent of the consumer group: it stamps *consumed*, writes the rows, and only then lets the offsets be committed.

A record that can't be recorded goes to the dead-letter topic. While Kafka is away, the agent tries again for RECORD_TIMEOUT_SECONDS.
Then the process ends, and whoever runs it starts it again at the committed offset. The agent never raises, because Faust acknowledges
a message whose agent failed (faust/streams.py), and the events would be lost.
"""

import asyncio
import logging
import time
from typing import Any, NamedTuple, cast

from aiokafka.errors import KafkaError

from labapp import settings
from labapp.app import app, event_table, kafka_producer, source
from labapp.consume.changes import Changes, changes_of
from labapp.consume.dead_letters import bury
from labapp.consume.feed import FEED
from labapp.event.row import offset_of
from labapp.event.rows import Rows
from labapp.event.stages import now_us
from labapp.observe import tracing
from labapp.observe.metrics import COUNTS
from labapp.patched.faust_batches import BATCH_RECORDS
from labapp.patched.faust_consumer import BatchConsumer
from labapp.worker import exit_at_once

log = logging.getLogger(__name__)

# How many batches the agent takes, of all partitions together, before the first of them is recorded.
BATCHES_IN_HAND = 32
# A write of one row costs as much as a write of fifty. If events came during a write, the partition's next write begins so long after
# the last one, and takes all that came meanwhile. An event that comes alone is written at once.
WRITES_APART_SECONDS = 0.02
# The most bytes of values in one write; BATCH_RECORDS is the most records. A larger write would be harder to finish within
# RECORD_TIMEOUT_SECONDS.
FULL_WRITE_BYTES = 1_000_000


class Taken(NamedTuple):
    """A batch as it was taken from the stream: the stream's event, the rows of its partition if this worker owned them, and the time."""

    event: Any
    rows: Rows | None
    consumed_us: int


@app.agent(source)
async def write_rows(stream: Any) -> None:
    # Partitions are written in parallel, each one write at a time, because most of the time is spent waiting for acknowledgements.
    # Without noack Faust would ack a batch on SIGTERM, though it is not recorded.
    waiting: dict[int, asyncio.Queue[Taken]] = {}
    room = asyncio.Semaphore(BATCHES_IN_HAND)
    async with asyncio.TaskGroup() as group:
        async for event in stream.noack().events():
            await room.acquire()
            partition = event.value[0].partition
            if partition not in waiting:
                waiting[partition] = asyncio.Queue()
                group.create_task(write_partition(partition, waiting[partition], room))
            waiting[partition].put_nowait(Taken(event, event_table.owned.get(partition), now_us()))


async def write_partition(partition: int, waiting: asyncio.Queue[Taken], room: asyncio.Semaphore) -> None:
    """Writes what is taken of a partition, for as long as the agent runs."""
    not_before = 0.0
    try:
        while True:
            # In a call of its own, so that nothing of the last write stays in memory while no event comes.
            not_before = await write_next(partition, waiting, room, not_before)
    except Exception:  # a defect of ours: errors of Kafka are tried again
        log.critical("A defect in the consumer: this worker ends; nothing is lost", exc_info=True)
        exit_at_once()


async def write_next(partition: int, waiting: asyncio.Queue[Taken], room: asyncio.Semaphore, not_before: float) -> float:
    """Writes together what waits of a partition, up to a full write. Returns when the next write may begin.

    What was taken before a rebalance or a seek is dropped, because it is delivered again.
    """
    taken = [await waiting.get()]
    take_more(taken, waiting)
    if not is_full(taken) and not room.locked():  # if no more may be taken, a pause brings nothing
        await asyncio.sleep(not_before - time.monotonic())
        take_more(taken, waiting)
    began = time.monotonic()
    # Meanwhile the partition may have gone to another worker, or a seek may have gone back to the committed offset.
    rows, is_current = event_table.owned.get(partition), cast(BatchConsumer, app.consumer).is_current
    current = [one for one in taken if one.rows is rows and is_current(one.event.value)]
    if rows is not None and current:
        await write_and_ack(current, rows)
    for _ in taken:
        room.release()
    return 0 if waiting.empty() else began + WRITES_APART_SECONDS


def take_more(taken: list[Taken], waiting: asyncio.Queue[Taken]) -> None:
    while not waiting.empty() and not is_full(taken):
        taken.append(waiting.get_nowait())


def is_full(taken: list[Taken]) -> bool:
    batches = [one.event.value for one in taken]
    return (
        sum(map(len, batches)) >= BATCH_RECORDS
        or sum(len(record.value or b"") for batch in batches for record in batch) >= FULL_WRITE_BYTES
    )


@tracing.recorded
async def write_and_ack(taken: list[Taken], rows: Rows) -> None:
    await write_or_exit(taken, rows)
    for one in taken:
        one.event.ack()


async def write_or_exit(taken: list[Taken], rows: Rows) -> None:
    """Returns once the brokers have acknowledged all that the batches change, or ends the process."""
    batches = [(one.event.value, one.consumed_us) for one in taken]
    first, last = batches[0][0], batches[-1][0]
    partition = first[0].partition
    changes: Changes | None = None
    dead = 0
    try:
        # While all brokers are away nothing is raised, only nothing is acknowledged. So one time-out is around everything.
        async with asyncio.timeout(settings.RECORD_TIMEOUT_SECONDS):
            while True:
                try:
                    changes = changes or changes_of(batches, rows)
                    await bury(kafka_producer(), changes.dead_letters)
                    dead += len(changes.dead_letters)
                    changes.dead_letters.clear()
                    if changes.rows:
                        await event_table.put(partition, changes.rows)
                    break
                except Exception as exc:  # mostly KafkaError; none may reach Faust
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
    COUNTS.count_recorded(sum(len(batch) for batch, _ in batches), changes.rows, changes.fresh, dead)
    if changes.reorder:
        rows.sort(by=offset_of)
    FEED.add(changes.fresh)
    FEED.tell()


@event_table.on_recover
async def put_in_order() -> None:
    """Puts the rows of each partition in the order of offsets. Compaction of the changelog does not keep that order."""
    for rows in list(event_table.owned.values()):
        rows.sort(by=offset_of)
        await asyncio.sleep(0)  # for the heartbeats


@app.task
async def announce() -> None:
    log.info("Starting consumer on topic %s, in group %s", settings.KAFKA_TOPIC, settings.CONSUMER_GROUP)
