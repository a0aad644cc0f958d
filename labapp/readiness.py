"""Whether this worker is ready, and if not, why: brokers reachable, partitions assigned, table restored, and not stalled."""

import asyncio
import time
from dataclasses import dataclass

from aiokafka.errors import KafkaError
from faust.exceptions import ConsumerNotStarted, NotReady

from labapp import settings
from labapp.app import app, kafka_producer

BROKERS_TIMEOUT_SECONDS = 2
# A worker that looks alive but records nothing, although there is something to record, is stalled after so long.
STALLED_SECONDS = 10

# Of each partition: the offset committed when it last changed or nothing waited, and when that was (monotonic).
_progress: dict[int, tuple[int, float]] = {}


def restored() -> bool:
    """Partitions are assigned and their rows complete; a producer has none."""
    return not settings.CONSUMES or (bool(app.tables.actives_ready) and not app.rebalancing)


@dataclass(frozen=True)
class Progress:
    partition: int
    waiting: int  # events
    standing_seconds: float  # since an offset was committed, or nothing waited


def progress() -> list[Progress]:
    """Of each source partition that this worker owns now."""
    now, waiting = time.monotonic(), _waiting()
    for gone in _progress.keys() - {partition for partition, _, _ in waiting}:
        del _progress[gone]  # when it comes back, it has not stood still meanwhile
    for partition, committed, count in waiting:
        if not count or partition not in _progress or _progress[partition][0] != committed:
            _progress[partition] = (committed, now)
    return [Progress(partition, count, now - _progress[partition][1]) for partition, _, count in waiting]


def stalled() -> list[str]:
    """One sentence for each partition in which events wait and none has been committed for STALLED_SECONDS."""
    return [
        f"Partition {one.partition} is stalled: {one.waiting} events wait, and none has been recorded for {STALLED_SECONDS} s."
        for one in progress()
        if one.standing_seconds > STALLED_SECONDS
    ]


def _waiting() -> list[tuple[int, int, int]]:
    """Of each source partition assigned: partition, committed offset (-1: none yet), events waiting."""
    if not settings.CONSUMES:
        return []
    found = []
    try:
        for tp in app.consumer.assignment():
            if tp.topic == settings.KAFKA_TOPIC:
                committed = app.consumer._committed_offset[tp]  # type: ignore[attr-defined]
                waiting = (app.consumer.highwater(tp) or 0) - (committed or 0)
                found.append((tp.partition, -1 if committed is None else committed, max(0, waiting)))
    except ConsumerNotStarted:
        pass
    return found


async def watch() -> None:
    """Looks every second, so that it is known since when a partition stands still."""
    while True:
        progress()
        await asyncio.sleep(1)


if settings.CONSUMES:
    app.task(watch)


async def reasons_not_ready() -> list[str]:
    """Empty when ready."""
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
    return reasons + stalled()
