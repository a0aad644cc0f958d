"""Faust taught to deliver, record, restore and commit whole batches, without the holes that it leaves after a recovery.

    app = faust.App(..., Schema=BatchSchema, Table=BatchTable)
    app.transport = BatchTransport(app.conf.broker_consumer, app)

What Faust does for each record costs it 100 to 300 us. Here a Batch, up to BATCH_RECORDS records of one partition, goes through
Faust as one message, so that this cost is paid once a batch. Knows nothing of what the records are.

It overrides private methods, so Faust is pinned, and tests/unit/test_batches.py fails when their text changes. Line numbers are
those of faust-streaming 0.15.3 and aiokafka 0.14.0. The order is a batch's way: fetch, deliver, record, commit; then recovery.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import faust
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

Message = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]  # key, value, headers

# Measured: 200 records a batch reach 0.3 of the speed of 1,000, and 2,000 no more than 1,000.
BATCH_RECORDS = 1000
# How long a broker may hold a fetch that has nothing to bring.
FETCH_MAX_WAIT_MS = 200
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

    Faust passes its own set to another thread. It may go empty on the way, and aiokafka takes an empty one for "all partitions"
    (consumer/fetcher.py:1221): what is fetched then, Faust throws away (transport/consumer.py:758). So this is never falsy.
    """

    def __init__(self, tps: set[TP]) -> None:
        self._tps = tps

    def __contains__(self, tp: TP) -> bool:
        return tp in self._tps


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Fetches batches, and numbers the seeks, so that what was fetched before a seek can be told from what came after."""

    consumer: "BatchConsumer"

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
        return await self.call_thread(self._seek_sources)

    async def _seek_sources(self) -> Mapping[TP, int]:
        consumer = self._ensure_consumer()
        tps = [tp for tp in consumer.assignment() if not self.consumer._is_changelog_tp(tp)]
        committed = dict(zip(tps, await asyncio.gather(*map(consumer.committed, tps)), strict=True))
        uncommitted = [tp for tp in tps if committed[tp] is None and self._position(tp) != 0]
        first = await consumer.beginning_offsets(uncommitted) if uncommitted else {}
        positions = {tp: first.get(tp, committed[tp] or 0) for tp in tps}
        for tp, offset in positions.items():
            if self._position(tp) != offset:  # else what aiokafka has fetched already is kept
                consumer.seek(tp, offset)
            self._drained[tp] = offset
        self.sought = {ensure_TP(tp): offset for tp, offset in positions.items()}
        self.seek_number += 1
        return committed

    def _position(self, tp: TP) -> int | None:
        state = self._ensure_consumer()._fetcher._subscriptions.subscription.assignment.state_value(tp)
        return state.position if state.has_valid_position else None


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
        elif any(message.acked for message in delivered) or now - self._progress_at.setdefault(tp, now) > LOST_AFTER_SECONDS:
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


async def send(producer: AIOKafkaProducer, tp: TP, messages: Iterable[Message]) -> list[tuple[int, int]]:
    """Sends messages in their order and returns once they are acknowledged: of each batch the first offset and the count.

    aiokafka's own `send` takes no message that has neither key nor value, and makes a future for each.
    """
    now_ms = int(time.time() * 1000)
    batches = [producer.create_batch()]
    acknowledgements = []
    for key, value, headers in messages:
        message = {"timestamp": now_ms, "key": key, "value": value, "headers": headers}
        if batches[-1].append(**message) is None:  # full; an empty batch takes any message
            acknowledgements.append(await producer.send_batch(batches[-1], tp.topic, partition=tp.partition))
            batches.append(producer.create_batch())
            batches[-1].append(**message)
    acknowledgements.append(await producer.send_batch(batches[-1], tp.topic, partition=tp.partition))
    acknowledged = await asyncio.gather(*acknowledgements)
    return [(metadata.offset, batch.record_count()) for metadata, batch in zip(acknowledged, batches, strict=True)]


class Rows(dict[str, bytes]):
    """One partition's rows by key, in the order in which they were first put; `size_bytes` is that of all of them."""

    size_bytes = 0

    def apply(self, changes: Iterable[tuple[str, bytes | None]]) -> None:
        """Sets rows, deletes them where None."""
        for key, row in changes:
            self.size_bytes -= len(self.get(key, b""))
            if row is None:
                self.pop(key, None)
            else:
                self[key] = row
                self.size_bytes += len(row)

    def sort(self, by: Callable[[bytes], int]) -> None:
        """Puts the rows in the order of `by`: compaction moves a row that was written again behind those that came after it."""
        places = [by(row) for row in self.values()]
        if any(left > right for left, right in pairwise(places)):
            in_order = sorted(self.items(), key=lambda item: by(item[1]))
            self.clear()
            self.update(in_order)


class BatchTable(faust.Table):
    """A table written and restored in batches, one changelog message a row. Keys are text; rows are bytes, as the changelog has them.

    `partitions` has the rows of each partition that this worker owns, and of no other. A row is read by `table[key]`, decoded from
    JSON; written only by `put`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs |= {"key_type": bytes, "value_type": bytes, "recovery_buffer_size": 8}  # of batches
        super().__init__(*args, **kwargs)
        self.partitions: dict[int, Rows] = {}
        self._complete_to: dict[TP, int] = {}
        self._producer: AIOKafkaProducer | None = None

    def __getitem__(self, key: str) -> Any:
        return orjson.loads(self.row(key))

    def row(self, key: str) -> bytes:
        """The row of `key` as JSON text. Raises KeyError."""
        for rows in self.partitions.values():
            if (row := rows.get(key)) is not None:
                return row
        raise KeyError(key)

    async def on_start(self) -> None:
        await super().on_start()
        # A connection of its own: on Faust's, what the web views send would queue behind changelog writes.
        self._producer = self.app.producer._new_producer()
        await self._producer.start()

    async def on_stop(self) -> None:
        if self._producer is not None:
            await self._producer.stop()
        await super().on_stop()

    async def put(self, partition: int, rows: Mapping[str, bytes | None]) -> None:
        """Sets rows, or deletes them where None, in this order. Returns once all in-sync replicas have the changelog messages.

        Before that nothing is set; after an error (KafkaError) messages may be in the changelog all the same: put them again.
        """
        assert self._producer is not None, "the table is not started"
        owned = self.partitions.get(partition)
        changelog = TP(self.changelog_topic_name, partition)
        messages = ((key.encode(), row, []) for key, row in rows.items())
        acknowledged = await send(self._producer, changelog, messages)
        if owned is None or self.partitions.get(partition) is not owned:
            return  # the partition went to another worker meanwhile; whoever owns it reads the changelog
        owned.apply(rows.items())
        for offset, count in acknowledged:
            # Another worker's messages may stand in between, of a time when this one was taken for dead: they are still to be read.
            if offset == self._complete_to.get(changelog, -1) + 1:
                self._complete_to[changelog] = offset + count - 1

    # -- recovery

    async def on_rebalance(self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0) -> None:
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)
        for tp in revoked | newly_assigned:
            if tp.topic == self.changelog_topic_name:
                self.partitions.pop(tp.partition, None)
                self._complete_to.pop(tp, None)
        for tp in assigned:
            if tp.topic == self.changelog_topic_name:
                self.partitions.setdefault(tp.partition, Rows())

    def persisted_offset(self, tp: TP) -> int | None:
        """The changelog offset up to which the rows in memory are complete: from there on a rebalance reads. None: from the start."""
        return self._complete_to.get(tp)

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        for event in batch:
            tp, records = event.message.tp, event.value
            if (rows := self.partitions.get(tp.partition)) is not None:
                rows.apply((record.key.decode(), record.value) for record in records)
                self._complete_to[tp] = records[-1].offset
