"""What the consumer commits, keeps in memory and takes for lost; only the broker is faked."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka.consumer.fetcher import Fetcher
from faust.types import TP

from labapp.event.stages import now_us
from labapp.patched.faust_consumer import LOST_AFTER_SECONDS
from labapp.patched.faust_fetching import Active, BatchConsumerThread
from labapp.patched.faust_transport import BatchTransport
from tests.unit.patched.test_recovery import END, FIRST, TPS, FakedOurs, nothing, turns

Taken = dict[TP, list[Any]]


def with_consumer(test: Callable[[FakedOurs], Awaitable[None]]) -> None:
    async def run() -> None:
        app = faust.App("consumer-test", broker="kafka://nowhere", store="memory://", web_enabled=False, stream_wait_empty=False)
        app.transport = BatchTransport(app.conf.broker_consumer, app)
        app.consumer_generation_id, app.tables.on_commit = 0, lambda offsets: None
        app.topics._acking_topics.add("topic")
        app._producer = SimpleNamespace(flush=nothing, buffer=None)
        app.flow_control.resume()
        consumer = FakedOurs(app.transport, callback=nothing, on_partitions_revoked=nothing, on_partitions_assigned=nothing)
        app._consumer = consumer
        consumer.sleep = lambda seconds, **kwargs: asyncio.sleep(0)
        consumer._set_active_tps(set())
        consumer.main_thread_hears_of_the_seek.set()
        consumer.resume_partitions(set(TPS))
        await consumer.perform_seek()
        consumer.resume_flow()
        await test(consumer)

    asyncio.run(run())


async def taken(consumer: FakedOurs) -> Taken:
    """What is delivered now, as messages that nobody has acked."""
    found: Taken = {tp: [] for tp in TPS}
    async for tp, message in consumer.getmany(0):
        message.incref()
        found[tp].append(message)
    return found


def test_an_acked_batch_keeps_no_records() -> None:
    """A commit may hang for long, and nobody needs the records any more. What is committed in the end is the same."""

    async def test(consumer: FakedOurs) -> None:
        messages = await taken(consumer)
        for message in messages[TPS[0]]:
            message.ack(consumer)
        assert all(message.value is None for message in messages[TPS[0]])
        assert all(message.value for message in messages[TPS[1]])
        await consumer.force_commit()
        assert consumer.stored == {TPS[0]: END, TPS[1]: FIRST}

    with_consumer(test)


def test_an_event_after_a_long_idle_time_is_not_taken_for_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit comes while the event is being written. The clock begins when it was delivered, and a seek begins it anew."""

    async def test(consumer: FakedOurs) -> None:
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now)
        consumer._notice_seek()
        consumer._progress_at.update(dict.fromkeys(TPS, now))  # as after an earlier batch
        now += 10 * LOST_AFTER_SECONDS
        messages = await taken(consumer)
        assert messages[TPS[0]]
        await consumer.force_commit()
        assert consumer._lost == set()
        now += LOST_AFTER_SECONDS + 1
        await consumer.force_commit()
        assert consumer._lost == set(TPS)

    with_consumer(test)


def test_offsets_without_a_record_are_committed() -> None:
    """Transaction markers and deleted records leave nothing to record, so nothing waits before them."""

    async def test(consumer: FakedOurs) -> None:
        consumer.position[TPS[0]] = END  # aiokafka passed over them and returned nothing
        consumer._thread.drained = lambda tp: FIRST
        assert consumer.next_to_record(TPS[0]) == END
        assert consumer.next_to_record(TPS[1]) == FIRST
        await consumer.force_commit()
        assert consumer.stored == {TPS[0]: END, TPS[1]: FIRST}

    with_consumer(test)


def test_a_position_ahead_of_what_was_delivered_is_not_committed() -> None:
    """The records between them are on their way to the agent."""

    async def test(consumer: FakedOurs) -> None:
        consumer.position[TPS[0]] = END
        assert consumer.next_to_record(TPS[0]) == FIRST
        await consumer.force_commit()
        assert consumer.stored[TPS[0]] == FIRST

    with_consumer(test)


def test_a_held_partition_is_not_fetched() -> None:
    """The others are, and it is again once it is released. No partition at all is never taken for all of them."""

    async def test(consumer: FakedOurs) -> None:
        fetched = Active(set(TPS), consumer._full)
        consumer.hold(TPS[0])
        assert [tp in fetched for tp in TPS] == [False, True]
        consumer.release(TPS[0])
        assert all(tp in fetched for tp in TPS)
        assert Active(set(), set())

    with_consumer(test)


def test_what_is_fetched_of_a_held_partition_comes_as_soon_as_it_is_released() -> None:
    """No new record comes to wake the fetch, because a broker is not asked again before those of all its partitions are taken."""

    class Seen(Exception):
        pass

    def see() -> None:
        raise Seen

    async def test(consumer: FakedOurs) -> None:
        fetcher: Any = Fetcher.__new__(Fetcher)
        fetcher._closed, fetcher._fetch_waiters, fetcher._wait_consume_future = False, set(), None
        fetcher._loop = asyncio.get_running_loop()
        fetcher._subscriptions = SimpleNamespace(reassignment_in_progress=False, is_assigned=lambda tp: True)
        fetcher._records = {TPS[0]: SimpleNamespace(check_raise=see)}
        consumer._thread.look_again = lambda: BatchConsumerThread.look_again(
            SimpleNamespace(_ensure_consumer=lambda: SimpleNamespace(_fetcher=fetcher))  # type: ignore[arg-type]
        )
        consumer.hold(TPS[0])
        fetching = asyncio.ensure_future(fetcher.fetched_records(Active(set(TPS), consumer._full), timeout=60))
        await turns()
        assert not fetching.done()

        consumer.release(TPS[0])
        await turns()
        assert isinstance(fetching.exception(), Seen)

    with_consumer(test)


def test_commits_are_remembered() -> None:
    """Each with the offset from which it went and the time of its acknowledgement; one that failed, or whose partition went, is none."""

    async def test(consumer: FakedOurs) -> None:
        assert consumer.commits(TPS[0]) == []
        for messages in (await taken(consumer)).values():
            for message in messages:
                message.ack(consumer)
        before_us = now_us()
        await consumer._commit_offsets({TPS[0]: 20})
        await consumer._commit_offsets({TPS[0]: END})
        found = consumer.commits(TPS[0])
        assert [(one["first"], one["next"]) for one in found] == [(FIRST, 20), (20, END)]
        assert before_us <= found[0]["time_us"] <= found[1]["time_us"] <= now_us()

        consumer._commit = lambda offsets: asyncio.sleep(0, False)
        await consumer._commit_offsets({TPS[1]: END})
        consumer.assignment = lambda: {TPS[1]}
        await consumer._commit_offsets({TPS[0]: END + 1})
        assert (consumer.commits(TPS[0]), consumer.commits(TPS[1])) == (found, [])

    with_consumer(test)
