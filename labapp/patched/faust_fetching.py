"""Faust's fetching: the aiokafka consumer that it drives, which fetches whole batches in the worker's own loop.

Line numbers are those of faust-streaming 0.15.3 and aiokafka 0.14.0.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service
from mode.utils.futures import maybe_async

from labapp.patched.aiokafka_group import heard_at
from labapp.patched.faust_batches import Batch, cut

# How long a broker may hold a fetch that has no records. aiokafka sends one fetch at a time to a broker (consumer/fetcher.py:609). A
# partition whose last record was not delivered yet is not in that fetch, so its next event waits for the end of the fetch.
FETCH_MAX_WAIT_MS = 50


class Active:
    """The partitions that may be fetched at this moment: the active ones without those that are full. It is never falsy.

    Faust passes its own set, which may become empty while the fetch waits. For aiokafka an empty set means all partitions
    (consumer/fetcher.py:1221). Faust drops the records of such a fetch (transport/consumer.py:758).
    """

    def __init__(self, active: set[TP], full: set[TP]) -> None:
        self._active, self._full = active, full

    def __contains__(self, tp: TP) -> bool:
        return tp in self._active and tp not in self._full


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Fetches batches, and numbers the seeks. The number tells whether a batch was fetched before or after a seek.

    It runs in the worker's own loop. Faust runs it in a thread with a loop of its own, and hands every call and answer over
    (mode/threads.py). Measured: that costs a fifth of the CPU of an event that comes alone, and a tenth of the speed of many. Heartbeats
    now share the loop, so nothing may occupy it for a second. A full batch takes about 10 ms.
    """

    consumer: Any  # a BatchConsumer
    wait_for_shutdown = False

    maybe_start, start, stop, crash = Service.maybe_start, Service.start, Service.stop, Service.crash
    _stopped_set, _stop_children = Service._stopped_set, Service._stop_children
    _stop_futures, _stop_exit_stacks = Service._stop_futures, Service._stop_exit_stacks

    def __init__(self, consumer: Any, *, loop: asyncio.AbstractEventLoop, **kwargs: Any) -> None:
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
        # A broker answers a connection's requests in order, so requests of a recovery wait for the fetch. Faust lets a fetch take 1.5 s.
        consumer = super()._create_consumer(loop)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS
        # Records of aborted transactions are not events. Faust has this setting for exactly_once only.
        consumer._isolation_level = "read_committed"
        return consumer

    async def _fetch_records(self, consumer: AIOKafkaConsumer, active_partitions: Any, **kwargs: Any) -> dict[TP, list[Batch]]:
        # Nothing is awaited after the fetch, so a seek can't come in the middle of this.
        fetched = await super()._fetch_records(consumer, active_partitions, **kwargs)
        batches = {}
        for tp, records in fetched.items():
            end = self.position_now(tp) or records[-1].offset + 1
            if not self.consumer._is_changelog_tp(tp) and records[0].offset < self._drained.get(tp, 0):
                self.consumer.restarted_logs.add(tp)
            if tp in self.consumer.restarted_logs:
                continue
            batches[tp] = list(cut(records, self._drained.get(tp, records[0].offset), end, self.seek_number, self.consumer.batch_records))
            self._drained[tp] = end
        return batches

    async def seek_to_committed(self) -> Mapping[TP, int]:
        consumer = self._ensure_consumer()
        tps = [tp for tp in consumer.assignment() if not self.consumer._is_changelog_tp(tp)]
        committed = dict(zip(tps, await asyncio.gather(*map(consumer.committed, tps)), strict=True))
        uncommitted = [tp for tp in tps if committed[tp] is None and self.position_now(tp) != 0]
        first = await consumer.beginning_offsets(uncommitted) if uncommitted else {}
        still = consumer.assignment()  # a rebalance may have begun while the brokers were asked
        positions = {tp: first.get(tp, committed[tp] or 0) for tp in tps if tp in still}
        for tp, offset in positions.items():
            if self.position_now(tp) != offset:  # else aiokafka keeps what it has already fetched
                consumer.seek(tp, offset)
            self._drained[tp] = offset
        self.sought = {ensure_TP(tp): offset for tp, offset in positions.items()}
        self.seek_number += 1
        return committed

    def look_again(self) -> None:
        """Lets a fetch that waits look again at what is fetched already, up to a second sooner than it would (fetcher.py:1255)."""
        fetcher = self._ensure_consumer()._fetcher
        for waiter in fetcher._fetch_waiters:
            fetcher._notify(waiter)

    def drained(self, tp: TP) -> int | None:
        """The position after the records that were fetched last; None before the first seek."""
        return self._drained.get(tp)

    def heard_at(self) -> float | None:
        return heard_at(self._ensure_consumer()._coordinator)

    @contextmanager
    def polling(self) -> Iterator[None]:
        """Counts as polling: aiokafka leaves the group for good if it does not poll for broker_max_poll_interval."""
        with self._ensure_consumer()._subscription.fetch_context():
            yield

    def position_now(self, tp: TP) -> int | None:
        """The position of the next record to be returned, without asking a broker; None if it is not known."""
        assignment = self._ensure_consumer()._fetcher._subscriptions.subscription.assignment
        state = assignment.state_value(tp) if assignment is not None else None
        return state.position if state is not None and state.has_valid_position else None
