"""Faust taught to deliver and commit whole batches, without the holes that it leaves after a recovery. table.py records and restores.

    app = faust.App(..., Schema=BatchSchema, Table=BatchTable)
    app.transport = BatchTransport(app.conf.broker_consumer, app)

What Faust does for each record costs it 100 to 300 us. Here a Batch, up to BATCH_RECORDS records of one partition, goes through
Faust as one message, so that this cost is paid once a batch. Knows nothing of what the records are.

It overrides private methods, so Faust is pinned, and tests/unit/patched/test_faust_batches.py fails when their text changes. Line
numbers are those of faust-streaming 0.15.3 and aiokafka 0.14.0. The order is a batch's way: fetched, held, delivered, committed.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import faust
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service
from mode.utils.futures import maybe_async

# Measured: 200 records a batch reach 0.3 of the speed of 1,000, and 2,000 no more than 1,000.
BATCH_RECORDS = 1000
# How long a broker may hold a fetch that has nothing to bring. aiokafka sends a broker one fetch at a time (consumer/fetcher.py:609): a
# partition whose last record was not delivered yet when that was sent is not in it and waits for its end, so events now and then do.
FETCH_MAX_WAIT_MS = 50
# Delivered batches are worked off in order, so a partition in which none is for so long has lost one.
LOST_AFTER_SECONDS = 120


class Batch(list[ConsumerRecord]):
    """Records of one partition, one after the other in the log. `start` and `end` are the positions before and behind them.

    They are not the first and last offset: a transaction's markers and what compaction removed take offsets as well. `seek` is the
    number of the seek after which it was fetched.
    """

    __slots__ = ("end", "seek", "start")

    def __init__(self, records: list[ConsumerRecord], start: int, end: int, seek: int) -> None:
        super().__init__(records)
        self.start, self.end, self.seek = start, end, seek


def cut(records: list[ConsumerRecord], start: int, end: int, seek: int) -> Iterator[Batch]:
    """What one fetch brought of a partition, from position `start` to `end`, as batches without a gap between them."""
    for first in range(0, len(records), BATCH_RECORDS):
        piece = records[first : first + BATCH_RECORDS]
        behind = end if first + BATCH_RECORDS >= len(records) else piece[-1].offset + 1
        yield Batch(piece, start, behind, seek)
        start = behind


class BatchSchema(faust.Schema):
    """Hands a batch through undecoded; what is in it is for the agent to read, record by record."""

    def loads_key(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:
        return None

    def loads_value(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:
        return message.value


class _Active:
    """The partitions that may be fetched, read live.

    Faust passes its own set, which may go empty while the fetch waits, and aiokafka takes an empty one for "all partitions"
    (consumer/fetcher.py:1221): what is fetched then, Faust throws away (transport/consumer.py:758). So this is never falsy.
    """

    def __init__(self, tps: set[TP]) -> None:
        self._tps = tps

    def __contains__(self, tp: TP) -> bool:
        return tp in self._tps


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Fetches batches, and numbers the seeks, so that what was fetched before a seek can be told from what came after.

    Runs in the worker's own loop, and in no thread. Faust gives it a thread with a loop of its own and hands every call and answer
    over (mode/threads.py): measured, a fifth of the CPU of an event that comes alone, and a tenth of the speed of many. So heartbeats
    share the loop with all else, and nothing may keep that for a second; a full batch takes some 10 ms.
    """

    consumer: "BatchConsumer"
    wait_for_shutdown = False

    maybe_start, start, stop, crash = Service.maybe_start, Service.start, Service.stop, Service.crash
    _stopped_set, _stop_children = Service._stopped_set, Service._stop_children
    _stop_futures, _stop_exit_stacks = Service._stop_futures, Service._stop_exit_stacks

    def __init__(self, consumer: "BatchConsumer", *, loop: asyncio.AbstractEventLoop, **kwargs: Any) -> None:
        super().__init__(consumer, loop=loop, thread_loop=loop, **kwargs)

    async def on_stop(self) -> None:
        await self.on_thread_stop()

    async def call_thread(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await maybe_async(fun(*args, **kwargs))

    def __post_init__(self) -> None:
        super().__post_init__()
        self.seek_number = 0
        self.sought: dict[TP, int] = {}
        self._drained: dict[TP, int] = {}

    def _create_consumer(self, loop: asyncio.AbstractEventLoop) -> AIOKafkaConsumer:
        # A broker works off a connection's requests in order, so what recovery asks waits for the fetch before it: Faust has 1,500 ms.
        consumer = super()._create_consumer(loop)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS
        return consumer

    async def _fetch_records(self, consumer: AIOKafkaConsumer, active_partitions: Any, **kwargs: Any) -> dict[TP, list[Batch]]:
        # Nothing is awaited between the return of the records and the end of this method: a seek is before or after all of it.
        fetched = await super()._fetch_records(consumer, active_partitions, **kwargs)
        batches = {}
        for tp, records in fetched.items():
            end = self._position(tp) or records[-1].offset + 1
            batches[tp] = list(cut(records, self._drained.get(tp, records[0].offset), end, self.seek_number))
            self._drained[tp] = end
        return batches

    async def seek_to_committed(self) -> Mapping[TP, int]:
        consumer = self._ensure_consumer()
        tps = [tp for tp in consumer.assignment() if not self.consumer._is_changelog_tp(tp)]
        committed = dict(zip(tps, await asyncio.gather(*map(consumer.committed, tps)), strict=True))
        uncommitted = [tp for tp in tps if committed[tp] is None and self._position(tp) != 0]
        first = await consumer.beginning_offsets(uncommitted) if uncommitted else {}
        still = consumer.assignment()  # a rebalance may have begun while the brokers were asked
        positions = {tp: first.get(tp, committed[tp] or 0) for tp in tps if tp in still}
        for tp, offset in positions.items():
            if self._position(tp) != offset:  # else what aiokafka has fetched already is kept
                consumer.seek(tp, offset)
            self._drained[tp] = offset
        self.sought = {ensure_TP(tp): offset for tp, offset in positions.items()}
        self.seek_number += 1
        return committed

    def _position(self, tp: TP) -> int | None:
        assignment = self._ensure_consumer()._fetcher._subscriptions.subscription.assignment
        state = assignment.state_value(tp) if assignment is not None else None
        return state.position if state is not None and state.has_valid_position else None


class BatchConsumer(driver.Consumer):
    """Delivers the source partitions without a hole and commits each up to the first batch, in order, that is not acked.

    At the end of a recovery Faust resumes the source partitions (tables/recovery.py:649), then seeks (:655), then clears the agents'
    queues and resumes the flow (:659). What is fetched in between is delivered twice, or thrown away and committed over. So here
    they stay held until the flow is resumed; and should a record be missing all the same, it is noticed and read again.
    """

    _thread: BatchConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._held: set[TP] = set()
        self._seek_number = 0
        # Since the last seek, of each source partition: where the next batch has to start, and the messages delivered, not committed.
        self._expected: dict[TP, int] = {}
        self._delivered: dict[TP, deque[Any]] = defaultdict(deque)
        self._progress_at: dict[TP, float] = {}
        self._lost: set[TP] = set()

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # -- hold

    def _set_active_tps(self, tps: set[TP]) -> set[TP]:
        # Called with a new assignment. A worker that had no partition before has its flow on, and would fetch before recovery begins.
        return super()._set_active_tps(set())

    def pause_partitions(self, tps: Iterable[TP]) -> None:
        tps = set(tps)
        super().pause_partitions(tps)
        self._held -= tps

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        sources = {tp for tp in tps if not self._is_changelog_tp(tp)}
        self._held |= sources
        super().resume_partitions(set(tps) - sources)

    def resume_flow(self) -> None:
        super().resume_flow()
        released, self._held = self._held & self.assignment(), set()
        super().resume_partitions(released)

    # -- fetch

    def on_buffer_full(self, tp: TP) -> None:
        """Nothing: a full queue holds up delivery by itself, and with no partition active Faust would sleep for 1 s (:805)."""

    async def _wait_next_records(self, timeout: float) -> Any:
        while self.flow_active and not self._active_partitions and not self.should_stop:  # for the same sleep
            await asyncio.sleep(0.02)
        return await super()._wait_next_records(timeout)

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        # In a rebalance shorter, since a fetch under way does not notice that partitions are released.
        return await super()._getmany(_Active(active_partitions), 0.1 if self.app.rebalancing else timeout)

    def _to_message(self, tp: TP, batch: Batch) -> Any:
        message = super()._to_message(tp, batch[-1])
        message.value = batch
        return message

    async def getmany(self, timeout: float) -> Any:
        async for tp, message in super().getmany(timeout):
            if self._is_changelog_tp(tp):
                yield tp, message
                continue
            self._notice_seek()
            batch: Batch = message.value
            if batch.seek != self._seek_number:
                continue  # it comes again
            expected = self._expected.setdefault(tp, batch.start)
            if batch.start > expected:
                self.log.error("%s: positions %s to %s were not delivered, reading again", tp, expected, batch.start - 1)
                await self.perform_seek()
                continue
            self._expected[tp] = batch.end
            self._delivered[tp].append(message)
            self._acked[tp]  # commit() looks at partitions that have an entry
            self._read_offset[tp] = None  # else Faust drops what is read again (:1269), and makes gaps of what batches skip (:1255)
            yield tp, message

    def is_current(self, batch: Batch) -> bool:
        """Whether no seek came since it was fetched; after one it is delivered again."""
        return batch.seek == self._thread.seek_number

    def _notice_seek(self) -> None:
        if self._seek_number != self._thread.seek_number:
            self._seek_number = self._thread.seek_number
            self._expected = dict(self._thread.sought)
            self._delivered.clear()

    # -- commit

    def _new_offset(self, tp: TP) -> int | None:
        # In place of Faust's count of acked offsets, which loses track of them at a duplicate or a gap (:1132-1160).
        self._notice_seek()
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        delivered, end, now = self._delivered[tp], None, time.monotonic()
        while delivered and delivered[0].acked:
            end = delivered.popleft().value.end
        if end is not None or not delivered:
            self._progress_at[tp] = now
        elif tp in self.assignment() and (
            any(message.acked for message in delivered) or now - self._progress_at.setdefault(tp, now) > LOST_AFTER_SECONDS
        ):
            self._lost.add(tp)
            self._progress_at[tp] = now
        return end

    async def commit(self, *args: Any, **kwargs: Any) -> bool:
        done = await super().commit(*args, **kwargs)
        if self._lost and self.flow_active and not self.app.rebalancing:
            self.log.error("batches of %s were lost, reading again from the committed offsets", self._lost)
            self._lost.clear()
            await self.perform_seek()
        return done


class BatchTransport(driver.Transport):
    Consumer = BatchConsumer

    async def _create_topic(self, *args: Any, **kwargs: Any) -> None:
        """All topics are made and checked before the worker starts. Faust would ask again, which may be forbidden, and end on that."""
