"""Faust's Kafka consumer: it fetches, delivers and commits whole batches, and skips no record after a recovery.

The methods stand in the order of a batch's way: fetched, held, delivered, committed. Line numbers are those of faust-streaming 0.15.3
and aiokafka 0.14.0.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service
from mode.utils.futures import maybe_async

from labapp.patched.faust_batches import Batch, cut

# How long a broker may hold a fetch that has no records. aiokafka sends one fetch at a time to a broker (consumer/fetcher.py:609). A
# partition whose last record was not delivered yet is not in that fetch, so its next event waits for the end of the fetch.
FETCH_MAX_WAIT_MS = 50
# Batches of a partition are recorded in order. If none is recorded in this time, one was lost.
LOST_AFTER_SECONDS = 120


class _Active:
    """The partitions that may be fetched at this moment. It is never falsy.

    Faust passes its own set, which may become empty while the fetch waits. aiokafka takes an empty set for "all partitions"
    (consumer/fetcher.py:1221), and Faust drops what is fetched then (transport/consumer.py:758).
    """

    def __init__(self, tps: set[TP]) -> None:
        self._tps = tps

    def __contains__(self, tp: TP) -> bool:
        return tp in self._tps


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Fetches batches, and numbers the seeks, to tell what was fetched before a seek from what was fetched after it.

    It runs in the worker's own loop. Faust runs it in a thread with a loop of its own, and hands every call and answer over
    (mode/threads.py). Measured, that costs a fifth of the CPU of an event that comes alone, and a tenth of the speed of many. Heartbeats
    now share the loop, so nothing may occupy it for a second. A full batch takes about 10 ms.
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
        # A broker answers a connection's requests in order, so the questions of a recovery wait for the fetch. Faust lets it take 1.5 s.
        consumer = super()._create_consumer(loop)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS
        return consumer

    async def _fetch_records(self, consumer: AIOKafkaConsumer, active_partitions: Any, **kwargs: Any) -> dict[TP, list[Batch]]:
        # Nothing is awaited once the records are there, so a seek comes before all of this or after it.
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
    """Delivers each record of the source partitions, and commits each partition up to the first batch that is not acked.

    At the end of a recovery Faust resumes the source partitions (tables/recovery.py:649), then seeks (:655), then clears the agents'
    queues and resumes the flow (:659). Records that are fetched in between are delivered twice, or dropped and committed over. Here the
    partitions are held until the flow is resumed. If a record is missing all the same, it is noticed and read again.
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
        # Faust calls this with a new assignment. The flow of a worker that had no partition is on, so it would fetch before the recovery.
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
        """Does nothing. A full queue stops the delivery by itself. With no active partition Faust would sleep for 1 s (:805)."""

    async def _wait_next_records(self, timeout: float) -> Any:
        while self.flow_active and not self._active_partitions and not self.should_stop:  # instead of that sleep
            await asyncio.sleep(0.02)
        return await super()._wait_next_records(timeout)

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        # A fetch does not notice that partitions are released, so it is short during a rebalance.
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
                continue  # it is delivered again
            expected = self._expected.setdefault(tp, batch.start)
            if batch.start > expected:
                self.log.error("%s: positions %s to %s were not delivered, reading again", tp, expected, batch.start - 1)
                await self.perform_seek()
                continue
            self._expected[tp] = batch.end
            self._delivered[tp].append(message)
            self._acked.setdefault(tp, [])  # commit() looks only at partitions that have an entry
            self._read_offset[tp] = None  # else Faust drops what is read again (:1269), and takes what batches skip for gaps (:1255)
            yield tp, message

    def is_current(self, batch: Batch) -> bool:
        """Whether there was no seek since it was fetched. After a seek it is delivered again."""
        return batch.seek == self._thread.seek_number

    def _notice_seek(self) -> None:
        if self._seek_number != self._thread.seek_number:
            self._seek_number = self._thread.seek_number
            self._expected = dict(self._thread.sought)
            self._delivered.clear()

    # -- commit

    def committed_offset(self, tp: TP) -> int | None:
        """The offset that was committed last, as this worker knows it; None if there is none."""
        return self._committed_offset[tp]

    def _new_offset(self, tp: TP) -> int | None:
        # Faust counts acked offsets, and stops at a duplicate or a gap (:1132-1160).
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
