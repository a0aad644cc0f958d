"""What the writer of a partition writes together, what it drops, and what it does when Kafka refuses."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from faust.types import TP

from labapp.consume import writer
from labapp.consume.feed import Feed
from labapp.consume.writer import RECORD_BYTES, WAITING_BYTES_LEAST, Connections, PartitionWriter, run_or_end
from labapp.event.row import recorded_at
from labapp.event.rows import Rows
from labapp.observe.metrics import Counts
from labapp.patched.faust_batches import BATCH_RECORDS, Batch
from labapp.topics import Limits
from tests.unit.records import Record

SEEK = 2


class Lab:
    """A writer with a table and a consumer that keep what they are told, and answer what a test says."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.owned = {0: self.rows}
        self.written: list[list[str]] = []  # of each write the keys
        self.acked: list[int] = []  # where the batches start
        self.held: set[TP] = set()
        self.session_seconds_left = 6.0
        self.rebalancing = False
        self.answers: list[Exception | Callable[[], None]] = []  # to the next writes
        consumer = SimpleNamespace(
            is_current=lambda batch: batch.seek == SEEK,
            session_seconds_left=lambda: self.session_seconds_left,
            hold=self.held.add,
            release=self.held.discard,
        )
        self.counts, self.feed = Counts(), Feed()
        shared = Connections(
            self, lambda: consumer, lambda: None, lambda: self.rebalancing, Limits(), self.counts, self.feed  # type: ignore[arg-type]
        )  # fmt: skip
        self.writer = PartitionWriter(TP("first-topic", 0), shared)

    async def put(self, partition: int, changes: dict[str, bytes | None], rows: Rows, batch_bytes_max: int | None = None) -> None:
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            answer()
        self.written.append(list(changes))
        rows.apply(changes.items(), recorded_at(1_764_000_000_880, 1))

    def comes(self, start: int, size: int = 1, value: bytes = b"{}", seek: int = SEEK) -> None:
        records = [Record(value, b"key-%d" % offset, partition=0, offset=offset) for offset in range(start, start + size)]
        event = SimpleNamespace(value=Batch(records, start, start + size, seek), ack=lambda: self.acked.append(start))
        self.writer.take(event)

    def all_written(self, *writes: list[int]) -> bool:
        return self.written == [[f"key-{offset}" for offset in one] for one in writes]


def with_lab(test: Callable[[Lab], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(5):
            await test(Lab())

    asyncio.run(run())


async def until(what: Callable[[], Any], of: Awaitable[Any]) -> None:
    """Runs something until a condition is true."""
    task = asyncio.ensure_future(of)
    while not what():
        await asyncio.sleep(0)
        if task.done():
            break
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, none of which takes time."""
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def at_once(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(writer.asyncio, "sleep", at_once)
    return pauses


def test_what_waits_is_written_together_and_in_order() -> None:
    """One write takes all that came before it."""

    async def test(lab: Lab) -> None:
        lab.comes(10)
        lab.comes(11)
        await lab.writer.write_next()
        assert lab.all_written([10, 11])
        assert lab.acked == [10, 11]

    with_lab(test)


def test_a_write_has_at_most_a_full_batch_of_records() -> None:
    """The rest is the next write's."""

    async def test(lab: Lab) -> None:
        lab.comes(0, BATCH_RECORDS)
        lab.comes(BATCH_RECORDS)
        await lab.writer.write_next()
        assert lab.acked == [0]
        await lab.writer.write_next()
        assert lab.acked == [0, BATCH_RECORDS]

    with_lab(test)


def test_a_write_has_at_most_so_many_bytes() -> None:
    """Large records are written in several writes."""

    async def test(lab: Lab) -> None:
        large = b'{"text":"%s"}' % (b"x" * (writer.FULL_WRITE_BYTES // 2))
        for offset in (10, 11, 12):
            lab.comes(offset, value=large)
        await lab.writer.write_next()
        await lab.writer.write_next()
        assert lab.acked == [10, 11, 12]
        assert [len(one) for one in lab.written] == [2, 1]

    with_lab(test)


def test_what_a_seek_overtook_is_dropped() -> None:
    """It is delivered again. To write it now would count a delivery twice."""

    async def test(lab: Lab) -> None:
        lab.comes(10, seek=SEEK - 1)
        lab.comes(12)
        await lab.writer.write_next()
        assert lab.all_written([12])
        assert lab.acked == [12]

    with_lab(test)


def test_what_was_taken_of_a_partition_that_went_is_dropped() -> None:
    """Its rows are others now, though the partition may be back."""

    async def test(lab: Lab) -> None:
        lab.comes(10)
        lab.owned[0] = lab.rows = Rows()
        lab.comes(11)
        await lab.writer.write_next()
        assert lab.all_written([11])
        del lab.owned[0]
        lab.comes(12)
        await lab.writer.write_next()
        assert lab.acked == [11]

    with_lab(test)


def test_an_event_alone_is_written_at_once_and_fast_ones_together(no_pauses: list[float]) -> None:
    """If something came during a write, the next write waits, and takes what comes meanwhile."""

    async def test(lab: Lab) -> None:
        lab.comes(10)
        lab.answers = [lambda: lab.comes(11)]
        await lab.writer.write_next()
        assert no_pauses.pop() <= 0
        await lab.writer.write_next()
        assert 0 < no_pauses.pop() <= writer.WRITES_APART_SECONDS
        lab.comes(13)
        await lab.writer.write_next()
        assert no_pauses.pop() <= 0
        assert lab.all_written([10], [11], [13])

    with_lab(test)


def test_a_worker_whose_session_is_over_writes_nothing(no_pauses: list[float]) -> None:
    """Its partition may be another worker's by now. It goes on when the coordinator confirms the session."""

    async def test(lab: Lab) -> None:
        lab.comes(10)
        lab.session_seconds_left = -1.0
        await until(lambda: len(no_pauses) > 20, lab.writer.write_next())
        assert lab.written == []
        lab.comes(11)
        lab.session_seconds_left = 6.0
        await lab.writer.write_next()
        assert lab.all_written([11])

    with_lab(test)


@pytest.mark.parametrize("lost", ["partition", "seek"])
def test_a_write_of_a_partition_that_went_is_not_tried_again(lost: str, no_pauses: list[float]) -> None:
    """Its next owner writes the row, and an old row must not come behind it."""

    async def test(lab: Lab) -> None:
        def goes() -> None:
            if lost == "partition":
                lab.owned[0] = Rows()
            else:
                taken.seek = SEEK - 1
            raise KafkaError

        lab.comes(10)
        taken = lab.writer._waiting[0].event.value
        lab.answers = [goes]
        await lab.writer.write_next()
        assert lab.written == []
        assert lab.acked == []

    with_lab(test)


def test_during_a_rebalance_nothing_is_written(no_pauses: list[float]) -> None:
    """The batch is dropped at once, since it is delivered again: a restore may take longer than a write may."""

    async def test(lab: Lab) -> None:
        lab.comes(10)
        lab.rebalancing = True
        await lab.writer.write_next()
        assert lab.written == lab.acked == []
        assert lab.writer.failing_since is None

    with_lab(test)


def test_what_was_written_while_the_partition_went_is_not_told() -> None:
    """Its next owner delivers it again. Told here too, `GET /` would have it twice."""

    async def test(lab: Lab) -> None:
        def goes() -> None:
            lab.owned[0] = Rows()

        lab.comes(10)
        lab.answers = [goes]
        await lab.writer.write_next()
        assert lab.acked == []
        assert lab.counts.records["recorded"] == 0
        assert lab.feed.hand_out(10, 1000) == []

    with_lab(test)


def test_an_error_of_kafka_is_tried_again(no_pauses: list[float]) -> None:
    """Until the brokers take the rows."""

    async def test(lab: Lab) -> None:
        lab.comes(10)
        lab.answers = [KafkaError(), KafkaError()]
        await lab.writer.write_next()
        assert lab.all_written([10])
        assert lab.writer.failing_since is None

    with_lab(test)


def test_a_partition_with_too_much_waiting_is_held() -> None:
    """The consumer fetches no more of it, and the agent goes on taking batches of others."""

    async def test(lab: Lab) -> None:
        enough = WAITING_BYTES_LEAST // RECORD_BYTES + 1
        lab.owned |= {partition: Rows() for partition in range(1, 1000)}  # each has the least part
        lab.comes(0, enough)
        assert lab.held == {TP("first-topic", 0)}
        while len(lab.acked) < 1:
            await lab.writer.write_next()
        assert lab.held == set()

    with_lab(test)


def test_a_row_that_the_changelog_refuses_is_buried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others of its write are written one by one."""
    buried = []

    async def bury(producer: Any, dead_letters: Iterable[Any], bytes_max: int) -> None:
        buried.extend((record.offset, reason) for record, reason in dead_letters)

    monkeypatch.setattr(writer, "bury", bury)

    async def test(lab: Lab) -> None:
        lab.comes(10, 3)
        lab.answers = [MessageSizeTooLargeError("of 3"), lambda: None, MessageSizeTooLargeError("alone")]
        await lab.writer.write_next()
        assert lab.all_written([10], [12])
        assert [offset for offset, _ in buried] == [11]
        assert buried[0][1].startswith("The changelog refuses the row for its size ")
        assert lab.acked == [10]
        assert lab.counts.records == {"recorded": 2, "key_reused": 0, "delivered_again": 0, "dead_lettered": 1}

    with_lab(test)


def test_a_defect_ends_the_process() -> None:
    """Wherever it is: raised, it would let Faust go on behind what was not recorded."""

    async def test(lab: Lab) -> None:
        ended: list[bool] = []
        lab.comes(10)
        lab.answers = [ZeroDivisionError()]
        await run_or_end(lab.writer, lambda: ended.append(True))
        assert ended == [True]
        assert lab.acked == []

    with_lab(test)
