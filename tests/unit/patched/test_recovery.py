"""The end of a recovery, step by step as tables/recovery.py takes them; only the broker is faked. The same in every run.

Stock Faust fails each of these in a way of its own (the last test shows it, so that this file proves what it checks).
"""

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from faust.transport.drivers.aiokafka import Consumer as StockConsumer
from faust.types import TP
from mode import Service

from labapp.patched import faust_batches as batches
from labapp.patched.faust_batches import cut
from labapp.patched.faust_consumer import BatchConsumer
from labapp.patched.faust_transport import BatchTransport

TPS = (TP("topic", 0), TP("topic", 1))
FIRST, END = 10, 31  # records 10 to 30 of each partition, committed up to 10
ALL = {(tp.partition, offset) for tp in TPS for offset in range(FIRST, END)}
DONE = dict.fromkeys(TPS, END)


class Faked:
    """In place of a broker and the thread that talks to it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.position, self.stored = dict.fromkeys(TPS, FIRST), dict.fromkeys(TPS, FIRST)
        self.main_thread_hears_of_the_seek = asyncio.Event()

    def _new_consumer_thread(self) -> Any:
        thread = Service()
        thread.seek_number, thread.sought, thread.polling = 0, {}, nullcontext
        thread.position_now = thread.drained = lambda tp: self.position[tp]
        thread.look_again = lambda: None
        return thread

    def assignment(self) -> set[TP]:
        return set(TPS)

    def highwater(self, tp: TP) -> int:
        return END

    async def _getmany(self, active_partitions: Any, timeout: float) -> dict[TP, list[Any]]:
        await asyncio.sleep(0)
        fetched = {}
        for tp in TPS:
            start = self.position[tp]
            if tp in active_partitions and start < END:
                self.position[tp] = END
                fetched[tp] = self.as_fetched([self.record(tp, offset) for offset in range(start, END)], start)
        return fetched

    def record(self, tp: TP, offset: int) -> Any:
        return SimpleNamespace(
            topic=tp.topic, partition=tp.partition, offset=offset, timestamp=0, timestamp_type=0, headers=(), key=b"", value=b"",
            checksum=None, serialized_key_size=0, serialized_value_size=0,
        )  # fmt: skip

    async def seek_to_committed(self) -> dict[TP, int]:
        committed = dict(self.stored)
        self.position.update(committed)
        self._thread.sought, self._thread.seek_number = committed, self._thread.seek_number + 1
        await self.main_thread_hears_of_the_seek.wait()
        return committed

    async def _commit(self, offsets: dict[TP, int]) -> bool:
        self.stored.update(offsets)
        return True


class FakedStock(Faked, StockConsumer):
    def as_fetched(self, records: list[Any], start: int) -> list[Any]:
        return records


class FakedOurs(Faked, BatchConsumer):
    def as_fetched(self, records: list[Any], start: int) -> list[Any]:
        return list(cut(records, start, END, self._thread.seek_number))


@dataclass
class Outcome:
    handled: set[tuple[int, int]] = field(default_factory=set)
    stored: list[dict[TP, int]] = field(default_factory=list)  # after each of some commits


@pytest.fixture(autouse=True)
def batches_of_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_RECORDS", 1)


async def turns(count: int = 500) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def recover(
    kind: type[Faked], *, stuck_in_delivery: int | None = None, agent_waits_at: int | None = None, commit_in_between: bool = False
) -> Outcome:
    """Ends a recovery. `stuck_in_delivery`: the offset of partition 1 in the conductor's callback when the seek ends."""
    app = faust.App("recovery-test", broker="kafka://nowhere", store="memory://", web_enabled=False, stream_wait_empty=False)
    app.transport = BatchTransport(app.conf.broker_consumer, app)
    app.consumer_generation_id, app.tables.on_commit = 0, lambda offsets: None
    app.topics._acking_topics.add("topic")
    app._producer = SimpleNamespace(flush=nothing, buffer=None)
    app.flow_control.resume()
    outcome, queue = Outcome(), app.FlowControlQueue(maxsize=100, clear_on_resume=True)
    delivery_goes_on, agent_goes_on = asyncio.Event(), asyncio.Event()

    async def deliver(message: Any) -> None:  # as the conductor does, into the stream's queue
        await app.flow_control.acquire()
        message.incref()
        queue.put_nowait(message)
        if (message.partition, message.offset) == (1, stuck_in_delivery):
            await delivery_goes_on.wait()

    async def agent() -> None:
        while True:
            message = await queue.get()
            if (message.partition, message.offset) == (1, agent_waits_at):
                await agent_goes_on.wait()
            outcome.handled.add((message.partition, message.offset))
            message.ack(consumer)

    consumer = kind(app.transport, callback=deliver, on_partitions_revoked=nothing, on_partitions_assigned=nothing)
    app._consumer = consumer
    consumer.sleep = lambda seconds, **kwargs: asyncio.sleep(0)
    consumer._set_active_tps(set())
    tasks = [
        asyncio.ensure_future(agent()),
        asyncio.ensure_future(consumer._drain_messages(SimpleNamespace(_stopped=asyncio.Event()))),
    ]
    # as on_recovery_completed does (tables/recovery.py:649-661)
    consumer.resume_partitions(set(TPS))
    seek = asyncio.ensure_future(consumer.perform_seek())
    await turns()
    if commit_in_between:
        await consumer.force_commit()
    consumer.main_thread_hears_of_the_seek.set()
    await seek
    app.flow_control.resume()
    consumer.resume_flow()
    # and then it runs
    agent_goes_on.set()
    delivery_goes_on.set()
    deadline = asyncio.get_running_loop().time() + 1
    while outcome.handled != ALL and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.001)
    for _ in range(60):
        await consumer.force_commit()
        outcome.stored.append(dict(consumer.stored))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return outcome


async def nothing(*args: Any, **kwargs: Any) -> None:
    pass


RACES = {
    "delivered during the seek": {"stuck_in_delivery": 20},
    "and committed during it": {"stuck_in_delivery": 20, "commit_in_between": True},
    "and cleared from a queue that the agent works off": {"stuck_in_delivery": 20, "agent_waits_at": 19},
}


@pytest.mark.parametrize("race", RACES.values(), ids=RACES)
def test_every_record_is_handled_and_committed_by_the_first_commit(race: dict[str, Any]) -> None:
    """Whatever was fetched around the seek, nothing is skipped and the commit isn't held up."""
    outcome = asyncio.run(recover(FakedOurs, **race))

    assert outcome.handled == ALL
    assert outcome.stored[0] == DONE


@pytest.mark.parametrize("race", RACES.values(), ids=RACES)
def test_stock_faust_fails_the_same(race: dict[str, Any]) -> None:
    """The races are real: Faust itself skips records or does not get the commit to the end."""
    outcome = asyncio.run(recover(FakedStock, **race))

    assert outcome.handled != ALL or outcome.stored[0] != DONE
