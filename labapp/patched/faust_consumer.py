"""Faust's Kafka consumer: it delivers and commits whole batches, and skips no record after a recovery.

The methods follow the path of a batch: held, fetched (faust_fetching.py), delivered, committed. Line numbers are those of
faust-streaming 0.15.3 and aiokafka 0.14.0.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Any

from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from labapp.event.offsets import Commit
from labapp.event.stages import now_us
from labapp.patched.faust_batches import Batch
from labapp.patched.faust_fetching import Active, BatchConsumerThread

# Batches of a partition are recorded in order. If none is recorded in this time, one was lost.
LOST_AFTER_SECONDS = 120
# How many commits of a partition are remembered. There are at most five a second, and the page asks every second.
COMMITS_REMEMBERED = 16


class BatchConsumer(driver.Consumer):
    """Delivers each record of the source partitions, and commits each partition up to the first batch that is not acked.

    At the end of a recovery Faust resumes the source partitions (tables/recovery.py:649), then seeks (:655), then clears the agents'
    queues and resumes the flow (:659). Records that are fetched in between are delivered twice, or dropped and committed over. Here the
    partitions are held until the flow is resumed. If a record is missing nevertheless, the consumer notices it and reads again.
    """

    _thread: BatchConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.batch_records: int | None = None  # the most records of a batch, from the next fetch on; None: as usual
        self._held: set[TP] = set()
        self._seek_number = 0
        self._full: set[TP] = set()
        # By source partition, since the last seek. First the position at which the next batch must start. Then the messages that are
        # delivered but not committed, each with the end of its batch.
        self._expected: dict[TP, int] = {}
        self._delivered: dict[TP, deque[tuple[int, Any]]] = defaultdict(deque)
        self._progress_at: dict[TP, float] = {}
        self._lost: set[TP] = set()
        self._commits: dict[TP, deque[Commit]] = {}
        # Partitions whose offsets went back without a seek, because their topic was deleted and recreated. They are not delivered.
        self.restarted_logs: set[TP] = set()

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
            with self._thread.polling():
                await asyncio.sleep(0.02)
        return await super()._wait_next_records(timeout)

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        # A fetch does not notice that partitions are released, so it is short during a rebalance.
        return await super()._getmany(Active(active_partitions, self._full), 0.1 if self.app.rebalancing else timeout)

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
                self.log.error("%s: positions %s to %s were not delivered; reading again", tp, expected, batch.start - 1)
                await self.perform_seek()
                continue
            self._expected[tp] = batch.end
            if not self._delivered[tp]:
                self._progress_at[tp] = time.monotonic()
            self._delivered[tp].append((batch.end, message))
            self._read_offset[tp] = None  # else Faust drops what is read again (:1269), and sees gaps where batches skip offsets (:1255)
            yield tp, message

    def is_current(self, batch: Batch) -> bool:
        """Whether there was no seek since the batch was fetched. After a seek the batch is delivered again."""
        return batch.seek == self._thread.seek_number

    def _notice_seek(self) -> None:
        if self._seek_number != self._thread.seek_number:
            self._seek_number = self._thread.seek_number
            self._expected = dict(self._thread.sought)
            self._delivered.clear()
            self._progress_at.clear()
            self._full.clear()
            for tp in self._expected:
                self._acked.setdefault(tp, [])  # commit() looks only at partitions that have an entry

    # -- hold one partition

    def hold(self, tp: TP) -> None:
        """Stops fetching a partition. Records that were fetched before are still delivered."""
        self._full.add(tp)

    def release(self, tp: TP) -> None:
        """Fetches a partition again. What was fetched before is delivered at once, even if nothing new comes."""
        if tp in self._full:
            self._full.discard(tp)
            self._thread.look_again()

    # -- membership

    def session_seconds_left(self) -> float:
        """How long the partitions are surely still this worker's. Below 0 they may belong to another worker."""
        heard_at = self._thread.heard_at()
        return -1.0 if heard_at is None else heard_at + self.app.conf.broker_session_timeout - time.monotonic()

    # -- commit

    def committed_offset(self, tp: TP) -> int | None:
        """The offset that was committed last, as this worker knows it; None if there is none."""
        return self._committed_offset[tp]

    def commits(self, tp: TP) -> list[Commit]:
        """The newest commits of a partition by this worker, oldest first."""
        return list(self._commits.get(tp, ()))

    async def _commit_offsets(self, offsets: Mapping[TP, int], *args: Any, **kwargs: Any) -> bool:
        before = {tp: self._committed_offset[tp] for tp in offsets}
        done = await super()._commit_offsets(offsets, *args, **kwargs)
        if done:
            time_us = now_us()
            for tp, first in before.items():
                if self._committed_offset[tp] == offsets[tp]:  # else it was revoked, so it is not committed
                    start = first if first is not None else self._thread.sought.get(tp, 0)
                    commits = self._commits.setdefault(tp, deque(maxlen=COMMITS_REMEMBERED))
                    commits.append({"first": start, "next": offsets[tp], "time_us": time_us})
        return done

    def _new_offset(self, tp: TP) -> int | None:
        # Faust counts acked offsets, and stops at a duplicate or a gap (:1132-1160).
        self._notice_seek()
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        delivered, end, now = self._delivered[tp], None, time.monotonic()
        while delivered and delivered[0][1].acked:
            end, _ = delivered.popleft()
        if end is not None:
            self._progress_at[tp] = now
        elif not delivered:
            end = self._caught_up(tp) or None  # an empty partition has nothing to commit
        elif tp in self.assignment() and (
            any(message.acked for _, message in delivered) or now - self._progress_at.setdefault(tp, now) > LOST_AFTER_SECONDS
        ):
            self._lost.add(tp)
            self._progress_at[tp] = now
        return end

    def _caught_up(self, tp: TP) -> int | None:
        """The position up to which nothing is left to record. None if a batch is under way, or if the position is not known. The last
        offsets before it may have no record: those of transaction markers, and of records that were deleted or aborted."""
        if tp in self._held | self.restarted_logs or self._delivered[tp] or tp not in self._expected:
            return None
        return self._thread.position_now(tp) if self._thread.drained(tp) == self._expected[tp] else None

    def next_to_record(self, tp: TP) -> int:
        """The offset of the next record to record. Offsets before it are committed, or will be soon."""
        self._notice_seek()
        known = (self._caught_up(tp), self._committed_offset[tp], self._thread.sought.get(tp))
        return next((offset for offset in known if offset is not None), 0)

    def ack(self, message: Any) -> bool:
        acked = super().ack(message)
        if message.acked and not self._is_changelog_tp(message.tp):
            message.value = None  # frees the memory of recorded records, because a commit may take long
        return acked

    async def commit(self, *args: Any, **kwargs: Any) -> bool:
        done = await super().commit(*args, **kwargs)
        if self._lost and self.flow_active and not self.app.rebalancing:
            self.log.error("Batches of %s were lost; reading again from the committed offsets", self._lost)
            self._lost.clear()
            await self.perform_seek()
        return done
