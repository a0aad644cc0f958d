"""When a worker is not ready, and when it ends itself because it stays so. Only Kafka and the clock are faked."""

import time
from types import SimpleNamespace
from typing import Any

from tests.unit.apart import apart

TOPIC = "first-topic"


class Worker:
    """A worker that owns two partitions; a test says what it does and lets time pass."""

    def __init__(self) -> None:
        from faust.types import TP

        from labapp import readiness
        from labapp.consume.writer import WRITERS

        self.now = 1000.0
        time.monotonic = lambda: self.now
        self.following, self.ends = {0: 5, 1: 5}, {0: 5, 1: 5}
        self.session_seconds_left = 6.0
        self.restored = True
        self.restored_to = 0
        self.restarted_logs: set[TP] = set()
        self.ended: list[str] = []
        self.brokers_answer = True
        self.writers = WRITERS
        self.readiness = readiness.Readiness(self.ended.append)
        consumer = SimpleNamespace(
            assignment=lambda: {TP(TOPIC, partition) for partition in self.following},
            next_to_record=lambda tp: self.following[tp.partition],
            session_seconds_left=lambda: self.session_seconds_left,
            restarted_logs=self.restarted_logs,
        )

        async def no_broker() -> str | None:
            return None if self.brokers_answer else readiness.NO_BROKER

        async def end_offsets() -> dict[int, int]:
            return self.ends

        readiness._consumer = lambda: consumer  # type: ignore[assignment]
        readiness._no_broker, readiness._end_offsets = no_broker, end_offsets
        readiness.restored = lambda: self.restored
        readiness._marks = lambda: (*self.following.values(), self.restored_to)

    def passes(self, seconds: float, each_second: Any = lambda: None) -> None:
        import asyncio

        for _ in range(int(seconds)):
            self.now += 1
            each_second()
            asyncio.run(self.readiness.look())
            if self.ended:
                return

    def is_writing(self, partition: int) -> None:
        self.writers[partition] = SimpleNamespace(failing_since=self.now, failure="KafkaError()")  # type: ignore[assignment]


@apart
def test_ready_and_idle_is_well() -> None:
    """However long nothing comes."""
    worker = Worker()
    worker.passes(3600)
    assert worker.readiness.reasons() == []
    assert worker.ended == []


@apart
def test_what_waits_is_not_known_until_a_broker_tells_the_end() -> None:
    """Neither at the start, nor if the partition went and came back: 0 would say that nothing waits."""
    worker = Worker()
    worker.ends = {1: 7}
    worker.passes(1)
    assert [(one.end, one.waiting) for one in worker.readiness.progress()] == [(None, None), (7, 2)]
    worker.ends[0] = 5
    worker.passes(1)
    assert [(one.end, one.waiting) for one in worker.readiness.progress()] == [(5, 0), (7, 2)]
    del worker.following[1]
    worker.passes(1)
    worker.following[1], worker.ends = 5, {}
    assert [(one.end, one.waiting) for one in worker.readiness.progress()] == [(5, 0), (None, None)]


@apart
def test_a_partition_that_is_not_fetched_ends_the_worker() -> None:
    """Events wait, and nothing is written: readiness says so, and then the worker ends, though its other partition goes on."""
    worker = Worker()
    worker.passes(1)
    worker.ends[0] = 9

    def other_goes_on() -> None:
        worker.following[1] += 1
        worker.ends[1] += 1

    worker.passes(12, other_goes_on)
    sentence = "Partition 0 is stalled: 4 events wait, and none has been recorded for 10 s."
    assert worker.readiness.reasons() == [sentence]
    assert worker.ended == []
    worker.passes(60, other_goes_on)
    assert worker.ended == [f"{sentence} This worker ends; nothing is lost."]


@apart
def test_one_partition_that_can_not_be_written_does_not_end_the_worker() -> None:
    """Its other partition goes on for PARTITION_TIMEOUT_SECONDS."""
    worker = Worker()
    worker.ends[0] = 9
    worker.is_writing(0)
    worker.passes(590)
    assert worker.readiness.reasons() == ["Partition 0 is stalled: 4 events wait, and none has been recorded for 10 s (KafkaError())."]
    assert worker.ended == []
    worker.passes(20)
    assert worker.ended == ["Kafka did not take the rows of partition 0 in 600 s, so this worker ends; nothing is lost."]


@apart
def test_if_no_partition_can_be_written_the_worker_ends() -> None:
    """After RECORD_TIMEOUT_SECONDS: nothing is left that it would hold up."""
    worker = Worker()
    worker.is_writing(0)
    worker.is_writing(1)
    worker.passes(29)
    assert worker.ended == []
    worker.passes(3)
    assert worker.ended == ["Kafka did not take the rows of partition 0, 1 in 30 s, so this worker ends; nothing is lost."]


@apart
def test_without_a_broker_an_idle_worker_waits() -> None:
    """A new one could do no more. It says why it is not ready."""
    worker = Worker()
    worker.brokers_answer = False
    worker.session_seconds_left = -1
    worker.passes(3600)
    assert "No Kafka broker answers." in worker.readiness.reasons()
    assert worker.ended == []


@apart
def test_a_session_that_the_coordinator_does_not_confirm_ends_the_worker() -> None:
    """Other brokers answer, so a new worker may find the coordinator."""
    worker = Worker()
    worker.session_seconds_left = -1
    worker.passes(5)
    assert [reason[:23] for reason in worker.readiness.reasons()] == ["The group's coordinator"]
    worker.passes(60)
    assert worker.ended[0].endswith("That has lasted 60 s, so this worker ends; nothing is lost.")


@apart
def test_a_restore_that_goes_on_is_no_reason_to_end() -> None:
    """However long it takes. One that stands still is."""
    worker = Worker()
    worker.restored = False

    def restores() -> None:
        worker.restored_to += 1

    worker.passes(600, restores)
    assert worker.ended == []
    worker.passes(70)
    assert worker.ended[0].startswith("The partitions are being assigned, or the table is being restored. That has lasted 60 s")


@apart
def test_a_topic_made_anew_ends_the_worker_at_once() -> None:
    """With a sentence that says what to do."""
    from faust.types import TP

    worker = Worker()
    worker.restarted_logs.add(TP(TOPIC, 0))
    worker.passes(1)
    assert worker.ended[0].startswith(f"The topic {TOPIC} was deleted and recreated, ")
    assert worker.readiness.reasons() == worker.ended


@apart
def test_a_worker_that_was_told_to_stop_is_not_ready() -> None:
    """It says so, and does not end itself: its stop is under way, however long the pause before it."""
    from labapp.worker import STOPPING

    worker = Worker()
    STOPPING.set()
    worker.passes(600)
    assert worker.readiness.reasons() == ["This worker was told to stop."]
    assert worker.ended == []
