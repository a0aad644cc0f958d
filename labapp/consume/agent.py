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

from labapp import settings
from labapp.app import EX_SOFTWARE, app, events, kafka_producer, source
from labapp.consume import feed
from labapp.consume.changes import Changes, changes_of
from labapp.consume.dead_letters import bury
from labapp.event.row import now_us, offset_of
from labapp.observe import metrics, tracing
from labapp.patched.faust_batches import BATCH_RECORDS, BatchConsumer
from labapp.patched.faust_table import Rows

log = logging.getLogger(__name__)

# How many batches the agent takes, of all partitions together, before the first of them is recorded.
BATCHES_IN_HAND = 32
# A write of one row costs as much as one of fifty. So where events come faster than they are written one by one, the next write to that
# partition begins so long after the last, and takes all that came meanwhile. An event that comes alone is written at once.
WRITES_APART_SECONDS = 0.02
# Of values; or BATCH_RECORDS. More would only be harder to get through in RECORD_TIMEOUT_SECONDS.
FULL_WRITE_BYTES = 1_000_000


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
    """Records what is taken of a partition, for as long as the agent runs."""
    not_before = 0.0
    try:
        while True:
            # A coroutine of its own, so that nothing of the last write is kept while nothing comes.
            not_before = await record_next(partition, waiting, room, not_before)
    except Exception:  # a defect of ours, behind what is tried again
        log.critical("A defect in the consumer: this worker ends; nothing is lost", exc_info=True)
        exit_at_once()


async def record_next(partition: int, waiting: asyncio.Queue[Taken], room: asyncio.Semaphore, not_before: float) -> float:
    """Records what waits of a partition, together up to a full write, unless it is to be delivered again. Returns the next `not_before`."""
    taken = [await waiting.get()]
    take_more(taken, waiting)
    if not is_full(taken) and not room.locked():  # where no more may be taken, a pause would bring none
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
async def record_and_ack(taken: list[Taken], rows: Rows) -> None:
    await record_or_exit(taken, rows)
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
    for rows in list(events.owned.values()):
        rows.sort(by=offset_of)
        await asyncio.sleep(0)  # for the heartbeats


@app.task
async def announce() -> None:
    log.info("Starting consumer on topic %s, in group %s", settings.KAFKA_TOPIC, settings.CONSUMER_GROUP)
