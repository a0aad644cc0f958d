"""Decides whether this worker is ready, why it is not, and when it ends itself.

A worker that is not ready says why. If that lasts too long, it ends itself, and its supervisor or platform starts it again:

- after RECORD_TIMEOUT_SECONDS, if none of its partitions can be written;
- after STUCK_TIMEOUT_SECONDS without progress, if it can't join the group, restore the table or record, although a broker answers;
- after PARTITION_TIMEOUT_SECONDS, if one partition can't be written. Until then the other partitions are written;
- at once, if its topic was deleted and recreated.

While no broker answers, an idle worker waits, because a new worker could do no more.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from aiokafka.errors import KafkaError
from faust.exceptions import ConsumerNotStarted, NotReady
from faust.types import TP

from labapp import settings
from labapp.app import app, event_table, kafka_producer
from labapp.consume.changes import oldest_kept
from labapp.consume.writer import WRITERS, PartitionWriter
from labapp.patched.faust_consumer import BatchConsumer
from labapp.patched.faust_recovery import RetriedTableManager
from labapp.topics import CHANGELOG
from labapp.web.answers import Refused
from labapp.web.shapes import Offsets
from labapp.worker import STOPPING, exit_at_once

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
# A worker that starts looks more often, so that it reports ready without delay.
STARTING_LOOK_SECONDS = 0.1
QUESTION_TIMEOUT_SECONDS = 2
# A partition is stalled if events wait in it and none has been recorded for so long.
STALLED_SECONDS = 10

NO_BROKER = "No Kafka broker answers."
NO_SESSION = "The group's coordinator does not confirm this worker's session, so its partitions may be another worker's."
STOPS = "This worker was told to stop."
RESTORING = "The partitions are being assigned, or the table is being restored."


@dataclass(frozen=True)
class Progress:
    partition: int
    next_to_record: int  # offset
    end: int | None  # the offset after the last record, at the last look; None: not known yet
    waiting: int | None  # events; None: not known yet
    standing_seconds: float  # since an event was recorded, or since none waited


@dataclass(frozen=True)
class Restore:
    """A restore of the table that is under way. A changelog has about as many offsets as rows to read, or more where it was compacted."""

    offsets_left: int
    seconds_left: float | None  # None: not known yet


class Clock:
    """Measures how long a state has stayed the same."""

    def __init__(self) -> None:
        self._seen: tuple[object, float] = (None, time.monotonic())

    def seconds(self, state: object) -> float:
        """How long `state` has been the same."""
        if state != self._seen[0]:
            self._seen = (state, time.monotonic())
        return time.monotonic() - self._seen[1]


class Readiness:
    def __init__(self, end: Callable[[str], None]) -> None:
        """`end` ends the process, with a sentence that says why."""
        self._end = end
        self._ends: dict[int, int] = {}  # by partition owned: the offset after its last record
        self._brokers: str | None = "The producer has not connected to Kafka yet."
        self._recorded: dict[int, Clock] = {}
        self._stuck = Clock()
        self._restore_began: tuple[float, int] | None = None  # when it was first seen, and how many offsets were left then

    def progress(self) -> list[Progress]:
        """The progress of each source partition that this worker owns now."""
        found = []
        consumer, owned = _consumer(), _owned()
        for gone in self._recorded.keys() - set(owned):
            del self._recorded[gone]  # if the partition comes back, its clock starts again
            self._ends.pop(gone, None)
        if consumer is None:
            return []
        for partition in owned:
            following = consumer.next_to_record(TP(settings.KAFKA_TOPIC, partition))
            end = max(self._ends[partition], following) if partition in self._ends else None
            waiting = end - following if end is not None else None
            standing_seconds = self._recorded.setdefault(partition, Clock()).seconds(following if waiting else object())
            found.append(Progress(partition, following, end, waiting, standing_seconds))
        return found

    def restore(self) -> Restore | None:
        """The restore that is under way, None if there is none."""
        left = 0 if restored() else cast(RetriedTableManager, app.tables).recovery.remaining()
        if not left:
            self._restore_began = None
            return None
        now = time.monotonic()
        began, left_then = self._restore_began = self._restore_began or (now, left)
        done = left_then - left
        return Restore(left, left * (now - began) / done if done > 0 else None)

    def stalled(self) -> list[str]:
        """One sentence for each partition that is stalled, or can't be written."""
        return [sentence for one in self.progress() if (sentence := _why_stalled(one))]

    def reasons(self) -> list[str]:
        """Why the worker was not ready at the last look, one sentence for each reason. Empty if it was ready. Asks no broker."""
        stops = [STOPS] if STOPPING.is_set() else []
        return stops + self._of_the_whole() + self.stalled()

    def _of_the_whole(self) -> list[str]:
        """The reasons that are not about one partition."""
        reasons = [self._brokers] if self._brokers else []
        if not settings.CONSUMES:
            return reasons
        consumer = _consumer()
        if consumer is None or not restored():
            reasons.append(RESTORING)
        elif not self._brokers and consumer.session_seconds_left() <= 0:
            reasons.append(NO_SESSION)
        if made_anew := _made_anew():
            reasons.append(made_anew)
        return reasons

    async def watch(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(STARTING_LOOK_SECONDS if self._brokers or not restored() else LOOK_SECONDS)

    async def look(self) -> None:
        """Asks the brokers, and ends the worker if it has been stuck for too long."""
        self._brokers = await _no_broker()
        if not settings.CONSUMES:
            return
        self.restore()  # the first call starts the measurement of its speed
        if self._brokers is None and restored():
            self._ends |= await _end_offsets()
        if why := self._why_end():
            self._end(why)

    def _why_end(self) -> str | None:
        """One sentence if this worker is to be ended, None if not."""
        if made_anew := _made_anew():
            return made_anew
        now = time.monotonic()
        failing = {
            partition: now - writer.failing_since
            for partition, writer in WRITERS.items()
            if writer.failing_since is not None and now - writer.failing_since > settings.RECORD_TIMEOUT_SECONDS
        }
        if failing and (self._brokers or failing.keys() >= set(_owned())):
            return _not_taken(failing, settings.RECORD_TIMEOUT_SECONDS)
        if any(seconds > settings.PARTITION_TIMEOUT_SECONDS for seconds in failing.values()):
            return _not_taken(failing, settings.PARTITION_TIMEOUT_SECONDS)
        if self._brokers:
            return None
        for one in self.progress():
            if one.standing_seconds > settings.STUCK_TIMEOUT_SECONDS and not _is_writing(one.partition):
                return f"{_why_stalled(one)} This worker ends; nothing is lost."
        reasons = self._of_the_whole()
        # A restore that goes on is progress, however long it takes.
        if self._stuck.seconds((bool(reasons), _marks())) > settings.STUCK_TIMEOUT_SECONDS and reasons:
            return f"{reasons[0]} That has lasted {settings.STUCK_TIMEOUT_SECONDS:g} s, so this worker ends; nothing is lost."
        return None


def _end(sentence: str) -> None:
    log.critical(sentence)
    exit_at_once()


READINESS = Readiness(_end)


def restored() -> bool:
    """Whether partitions are assigned and their rows complete. True for a producer, which has none."""
    return not settings.CONSUMES or (bool(app.tables.actives_ready) and not app.rebalancing)


def offsets() -> list[Offsets]:
    """How far this worker is in each partition that it owns, at one moment. Asks no broker."""
    found = list[Offsets]()
    for one in READINESS.progress():
        if (rows := event_table.owned.get(one.partition)) is not None and (consumer := _consumer()) is not None:
            kept, commits = oldest_kept(rows), consumer.commits(TP(settings.KAFKA_TOPIC, one.partition))
            found.append(
                Offsets(partition=one.partition, next_to_record=one.next_to_record, end=one.end, oldest_kept=kept, commits=commits)
            )
    return found


def ensure_consumes() -> None:
    """Raises Refused for a worker without rows."""
    if not settings.CONSUMES:
        raise Refused(404, "This worker only produces (ROLE=producer): ask a consumer for events.")


def ensure_restored() -> None:
    """Raises Refused unless the worker can answer from its rows."""
    ensure_consumes()
    if not restored():
        raise Refused(503, RESTORING, retry_after_seconds=1)


def _consumer() -> BatchConsumer | None:
    """The consumer, or None before it is started."""
    try:
        app.consumer.assignment()
    except ConsumerNotStarted:
        return None
    return cast(BatchConsumer, app.consumer)


def _owned() -> list[int]:
    """The source partitions assigned to this worker."""
    consumer = _consumer() if settings.CONSUMES else None
    return sorted(tp.partition for tp in consumer.assignment() if tp.topic == settings.KAFKA_TOPIC) if consumer else []


async def _no_broker() -> str | None:
    """One sentence if no broker answers."""
    try:
        async with asyncio.timeout(QUESTION_TIMEOUT_SECONDS):
            return None if await kafka_producer().client.force_metadata_update() else NO_BROKER
    except NotReady:
        return "The producer has not connected to Kafka yet."
    except (KafkaError, TimeoutError, OSError):
        return NO_BROKER


async def _end_offsets() -> dict[int, int]:
    """The end offset of each partition owned whose leader answers, as a read_committed consumer sees it."""

    async def of_one(tp: TP) -> dict[int, int]:
        try:
            async with asyncio.timeout(QUESTION_TIMEOUT_SECONDS):
                return {tp.partition: (await app.consumer.highwaters(tp))[tp]}
        except (KafkaError, TimeoutError, OSError):
            return {}

    found = await asyncio.gather(*(of_one(TP(settings.KAFKA_TOPIC, partition)) for partition in _owned()))
    return {partition: end for one in found for partition, end in one.items()}


def _why_stalled(one: Progress) -> str | None:
    writer = _is_writing(one.partition)
    standing_seconds = max(one.standing_seconds, time.monotonic() - writer.failing_since if writer and writer.failing_since else 0)
    if standing_seconds <= STALLED_SECONDS:
        return None
    cause = f" ({writer.failure})" if writer and writer.failure else ""
    return f"Partition {one.partition} is stalled: {one.waiting} events wait, and none has been recorded for {STALLED_SECONDS} s{cause}."


def _is_writing(partition: int) -> PartitionWriter | None:
    """The partition's writer, if a write is under way."""
    writer = WRITERS.get(partition)
    return writer if writer is not None and writer.failing_since is not None else None


def _not_taken(failing: dict[int, float], seconds: float) -> str:
    partitions = ", ".join(map(str, sorted(failing)))
    return f"Kafka did not take the rows of partition {partitions} in {seconds:g} s, so this worker ends; nothing is lost."


def _made_anew() -> str | None:
    """One sentence if the topic was deleted and recreated, so that this worker's rows are of the old topic."""
    consumer = _consumer()
    if consumer is None or not consumer.restarted_logs:
        return None
    return (
        f"The topic {settings.KAFKA_TOPIC} was deleted and recreated, but {CHANGELOG} has the old topic's rows: "
        "stop the workers and delete the changelog, or use another CONSUMER_GROUP."
    )


def _marks() -> tuple[object, ...]:
    """Values that change while a worker makes progress in joining, restoring or recording."""
    consumer = _consumer()
    following = [consumer.next_to_record(TP(settings.KAFKA_TOPIC, partition)) for partition in _owned()] if consumer else []
    restored_to = [event_table.complete_to(partition) for partition in sorted(event_table.owned)]
    return app.consumer_generation_id, *following, *restored_to, cast(RetriedTableManager, app.tables).recovery.remaining()


app.task(READINESS.watch)
