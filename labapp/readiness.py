"""Whether this worker is ready, and if not, why: brokers reachable, partitions assigned, table restored, and not stalled."""

import asyncio
import time
from dataclasses import dataclass
from typing import cast

from aiokafka.errors import KafkaError
from faust.exceptions import ConsumerNotStarted, NotReady

from labapp import settings
from labapp.app import app, kafka_producer
from labapp.patched.faust_consumer import BatchConsumer
from labapp.web.answers import Refused

BROKERS_TIMEOUT_SECONDS = 2
# A partition is stalled if events wait in it and none has been committed for so long.
STALLED_SECONDS = 10


@dataclass(frozen=True)
class Progress:
    partition: int
    waiting: int  # events
    standing_seconds: float  # since an offset was committed, or since nothing waited


class Readiness:
    def __init__(self) -> None:
        # Of each partition the offset committed when it last changed or when nothing waited, and that moment (monotonic).
        self._progress: dict[int, tuple[int, float]] = {}

    def progress(self) -> list[Progress]:
        """The progress of each source partition that this worker owns now."""
        now, waiting = time.monotonic(), _waiting()
        for gone in self._progress.keys() - {partition for partition, _, _ in waiting}:
            del self._progress[gone]  # when it comes back, it has not stood still meanwhile
        for partition, committed, count in waiting:
            if not count or partition not in self._progress or self._progress[partition][0] != committed:
                self._progress[partition] = (committed, now)
        return [Progress(partition, count, now - self._progress[partition][1]) for partition, _, count in waiting]

    def stalled(self) -> list[str]:
        """One sentence for each stalled partition."""
        return [
            f"Partition {one.partition} is stalled: {one.waiting} events wait, and none has been recorded for {STALLED_SECONDS} s."
            for one in self.progress()
            if one.standing_seconds > STALLED_SECONDS
        ]

    async def reasons(self) -> list[str]:
        """Why the worker is not ready, one sentence each. Empty if it is ready."""
        reasons = []
        try:
            async with asyncio.timeout(BROKERS_TIMEOUT_SECONDS):
                await kafka_producer().client.fetch_all_metadata()
        except NotReady:
            reasons.append("The producer has not connected to Kafka yet.")
        except (KafkaError, TimeoutError, OSError):
            reasons.append("No Kafka broker answers.")
        if not restored():
            reasons.append("The partitions are being assigned, or the table is being restored.")
        return reasons + self.stalled()


READINESS = Readiness()


def restored() -> bool:
    """Whether partitions are assigned and their rows complete. True for a producer, which has none."""
    return not settings.CONSUMES or (bool(app.tables.actives_ready) and not app.rebalancing)


def ensure_consumes() -> None:
    """Raises Refused for a worker without rows."""
    if not settings.CONSUMES:
        raise Refused(404, "This worker only produces (ROLE=producer): ask a consumer for events.")


def ensure_restored() -> None:
    """Raises Refused unless the worker can answer from its rows."""
    ensure_consumes()
    if not restored():
        raise Refused(503, "The partitions are being assigned, or the table is being restored.", retry_after_seconds=1)


def _waiting() -> list[tuple[int, int, int]]:
    """Of each source partition assigned: partition, committed offset (-1: none yet), events that wait."""
    if not settings.CONSUMES:
        return []
    found = []
    consumer = cast(BatchConsumer, app.consumer)
    try:
        for tp in consumer.assignment():
            if tp.topic == settings.KAFKA_TOPIC:
                committed = consumer.committed_offset(tp)
                waiting = (consumer.highwater(tp) or 0) - (committed or 0)
                found.append((tp.partition, -1 if committed is None else committed, max(0, waiting)))
    except ConsumerNotStarted:
        pass
    return found


async def watch() -> None:
    """Looks at the progress every second, so that it is known since when a partition stands still."""
    while True:
        READINESS.progress()
        await asyncio.sleep(1)


if settings.CONSUMES:
    app.task(watch)
