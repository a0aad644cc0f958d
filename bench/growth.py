"""Growth: whether an event costs more when more of them wait, and whether memory grows; with one worker and with two.

10,000 rows are kept a partition, as by default, on 4 partitions: after 100,000 events the table is full. The time an event is measured by
the changelog's end (brokers.written_pace), which also moves where 10,000 events are done in a tenth of a second. Memory is the
worker's resident set once all is recorded (one worker).
"""

import asyncio
import time

from bench.brokers import PARTITIONS, delete_topics, fill, written_pace
from bench.run import Run, free_port, say

ROWS_KEPT = 10_000
SETTLE_SECONDS = 1.5


def measure(run: Run) -> None:
    topics = {events: run.fresh(f"growth-{events}") for events in run.size.growth}
    say(f"Writing {sum(topics):,} events ...")
    for events, topic in topics.items():
        asyncio.run(fill(run.bootstrap, topic, events))
    for _ in run.rounds("growth"):
        for events, topic in topics.items():
            for workers in (1, 2):
                record(run, topic, events, workers)
        asyncio.run(delete_topics(run.bootstrap, unless=lambda name: name in topics.values()))
    asyncio.run(delete_topics(run.bootstrap, unless=lambda topic: False))


def record(run: Run, topic: str, events: int, workers: int) -> None:
    group = run.fresh("growth")
    started = [
        run.ours("consumer", topic, group, PORT=free_port(), KAFKA_PARTITIONS=PARTITIONS, ROWS_KEPT=ROWS_KEPT) for _ in range(workers)
    ]

    def used() -> float:
        return sum(worker.cpu_seconds() for worker in started)

    # A row is one message, and each row beyond those kept one more, which deletes the oldest.
    expired = sum(max(0, len(range(partition, events, PARTITIONS)) - ROWS_KEPT) for partition in range(PARTITIONS))
    with run.running(*started):
        pace = asyncio.run(written_pace(run.bootstrap, f"{group}-events-changelog", events, events + expired, used))
        part = f"growth, {workers} {'worker' if workers == 1 else 'workers'}"
        run.found(part, f"{events:,} events", "µs an event", 1e6 / pace.events_a_second)
        run.found(part, f"{events:,} events, CPU", "µs an event", pace.cpu_us_an_event)
        if workers == 1:
            time.sleep(SETTLE_SECONDS)
            run.found("growth, memory", f"{events:,} events", "MB", started[0].resident_mb())
