"""Writes the rows of one partition, one write at a time, and lets its offsets be committed once they are acknowledged."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from faust.exceptions import NotReady
from faust.types import TP

from labapp import settings
from labapp.consume.changes import Changes, changes_of
from labapp.consume.dead_letters import bury
from labapp.consume.feed import Feed
from labapp.event.row import Record, offset_of
from labapp.event.rows import Rows
from labapp.event.stages import now_us
from labapp.observe import tracing
from labapp.observe.metrics import Counts
from labapp.patched.faust_batches import BATCH_RECORDS
from labapp.patched.faust_consumer import BatchConsumer
from labapp.patched.faust_table import BatchTable
from labapp.topics import Limits

log = logging.getLogger(__name__)

# A write of one row costs as much as a write of fifty. If events come during a write, the partition's next write begins this long after
# the last one began, and takes all of them. An event that comes alone is written at once.
WRITES_APART_SECONDS = 0.02
# The most bytes of values in one write; BATCH_RECORDS is the most records. A larger write would be harder to finish in time.
FULL_WRITE_BYTES = 1_000_000
# How much may wait in memory for all partitions together. Each partition has an equal share, but at least one fetch.
WAITING_BYTES_MAX = 64 * 1024 * 1024
WAITING_BYTES_LEAST = 1024 * 1024
# What a record takes in memory beside its value.
RECORD_BYTES = 600
# The pause before a retry of a write that failed, or that is not allowed yet.
RETRY_SECONDS = 0.2


class Taken(NamedTuple):
    """A batch as it was taken from the stream: the stream's event, the rows of its partition if this worker owned them, and the time."""

    event: Any
    rows: Rows | None
    consumed_us: int
    value_bytes: int

    @property
    def memory_bytes(self) -> int:
        return self.value_bytes + len(self.event.value) * RECORD_BYTES


@dataclass(frozen=True)
class Connections:
    """What the writers of all partitions share."""

    table: BatchTable
    consumer: Callable[[], BatchConsumer]
    producer: Callable[[], AIOKafkaProducer]
    is_rebalancing: Callable[[], bool]
    limits: Limits
    counts: Counts
    feed: Feed


class PartitionWriter:
    """`failing_since` is when the write that is under way was first tried (monotonic seconds) and `failure` why it did not succeed yet."""

    def __init__(self, tp: TP, shared: Connections) -> None:
        self.tp = tp
        self.failing_since: float | None = None
        self.failure = ""
        self._shared = shared
        self._waiting: deque[Taken] = deque()
        self._waiting_bytes = 0
        self._news = asyncio.Event()
        self._not_before = 0.0

    def take(self, event: Any) -> None:
        """Takes a batch from the stream. If too much waits, the consumer stops fetching this partition until less waits."""
        value_bytes = sum([len(record.value or b"") for record in event.value])
        taken = Taken(event, self._shared.table.owned.get(self.tp.partition), now_us(), value_bytes)
        self._waiting.append(taken)
        self._waiting_bytes += taken.memory_bytes
        if self._waiting_bytes > self._bytes_max():
            self._shared.consumer().hold(self.tp)
        self._news.set()

    async def run(self) -> None:
        """Writes what is taken, for as long as the agent runs."""
        while True:
            # A call for each write frees the memory of the last write while no event comes.
            await self.write_next()

    async def write_next(self) -> None:
        """Writes what waits, up to a full write. Batches taken before a rebalance or a seek are dropped: they are delivered again."""
        while not self._waiting:
            self._news.clear()
            await self._news.wait()
        taken: list[Taken] = []
        self._take_more(taken)
        if not is_full(taken):
            await asyncio.sleep(self._not_before - time.monotonic())
            self._take_more(taken)
        began = time.monotonic()
        rows = self._shared.table.owned.get(self.tp.partition)
        current = [one for one in taken if one.rows is rows and self._is_current(one)]
        if rows is not None and current:
            await write(current, self, rows)
        self._waiting_bytes -= sum(one.memory_bytes for one in taken)
        if self._waiting_bytes < self._bytes_max() / 2:
            self._shared.consumer().release(self.tp)
        self._not_before = began + WRITES_APART_SECONDS if self._waiting else 0

    def _take_more(self, taken: list[Taken]) -> None:
        while self._waiting and not is_full(taken):
            taken.append(self._waiting.popleft())

    def _bytes_max(self) -> float:
        return max(WAITING_BYTES_LEAST, WAITING_BYTES_MAX / max(1, len(self._shared.table.owned)))

    def _is_current(self, one: Taken) -> bool:
        return self._shared.consumer().is_current(one.event.value)

    async def write_and_ack(self, taken: list[Taken], rows: Rows) -> None:
        """Retries until the brokers have acknowledged all changes of the batches, or until the batches are no longer current.

        readiness.py ends a worker that retries for too long.
        """
        changes: Changes | None = None
        buried = 0
        self.failing_since = time.monotonic()
        try:
            while True:
                if self._shared.table.owned.get(self.tp.partition) is not rows or not all(map(self._is_current, taken)):
                    return  # another worker has the partition, or the batches are delivered again
                if self._shared.is_rebalancing():
                    return  # a rebalance ends with a seek, after which the batches are delivered again
                if self._shared.consumer().session_seconds_left() <= 0:
                    self.failure = "the group's coordinator does not confirm that the partition is still this worker's"
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                try:
                    if changes is None:
                        batches = [(one.event.value, one.consumed_us) for one in taken]
                        changes = changes_of(batches, rows, self._shared.limits.row_bytes_max)
                    async with asyncio.timeout(settings.RECORD_TIMEOUT_SECONDS):
                        buried += await self._bury(changes)
                        await self._put(changes, rows)
                        buried += await self._bury(changes)
                    break
                except (KafkaError, NotReady, TimeoutError) as exc:
                    self.failure = repr(exc)
                    first, last = taken[0].event.value, taken[-1].event.value
                    log.warning(
                        "Partition %s: offsets %s to %s are not recorded yet. Trying again after %r",
                        self.tp.partition,
                        first.start,
                        last.end - 1,
                        exc,
                    )
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            self.failing_since, self.failure = None, ""
        if self._shared.table.owned.get(self.tp.partition) is not rows:
            return  # the partition was revoked during the write, so no row was set
        count = sum(len(one.event.value) for one in taken)
        self._shared.counts.count_recorded(count, rows, changes.fresh, buried, changes.key_reused)
        if changes.reorder:
            rows.sort(by=offset_of)
        self._shared.feed.add(changes.fresh)
        self._shared.feed.add_again(self.tp.partition, changes.again)
        self._shared.feed.tell()
        for one in taken:
            one.event.ack()

    async def _bury(self, changes: Changes) -> int:
        """Returns how many dead letters were sent."""
        dead_letters = changes.dead_letters.copy()
        await bury(self._shared.producer(), dead_letters, self._shared.limits.dead_letter_bytes_max)
        del changes.dead_letters[: len(dead_letters)]
        return len(dead_letters)

    async def _put(self, changes: Changes, rows: Rows) -> None:
        """A row that the changelog refuses for its size becomes a dead letter instead. Raises KafkaError."""
        if not changes.rows:
            return
        partition, batch_bytes_max = self.tp.partition, self._shared.limits.changelog_batch_bytes_max
        try:
            await self._shared.table.put(partition, changes.rows, rows, batch_bytes_max)
        except MessageSizeTooLargeError:  # the topic takes less than it did at the start, so rows are written one by one
            for key, row in list(changes.rows.items()):
                try:
                    await self._shared.table.put(partition, {key: row}, rows)
                except MessageSizeTooLargeError as exc:
                    reason = f"The changelog refuses the row for its size ({len(row or b'')} bytes): {exc}"
                    changes.dead_letters += [(record, reason) for record in records_of(key, changes)]
                    changes.forget(key)


async def run_or_end(writer: PartitionWriter, end: Callable[[], None]) -> None:
    """Runs a writer, and calls `end` if it fails. If the error were raised, Faust would skip what was not recorded."""
    try:
        await writer.run()
    except Exception:  # a defect of ours: Kafka's errors are retried
        log.critical("A defect in the consumer: this worker ends; nothing is lost", exc_info=True)
        end()


# The writer of each partition that this worker has had.
WRITERS: dict[int, PartitionWriter] = {}


def records_of(key: str, changes: Changes) -> list[Record]:
    """The record of a new event; none for a row that was there before."""
    return [record for fresh_key, record, _ in changes.fresh if fresh_key == key]


@tracing.recorded
async def write(taken: list[Taken], writer: PartitionWriter, rows: Rows) -> None:
    await writer.write_and_ack(taken, rows)


def is_full(taken: list[Taken]) -> bool:
    records = sum([len(one.event.value) for one in taken])
    return records >= BATCH_RECORDS or sum([one.value_bytes for one in taken]) >= FULL_WRITE_BYTES
