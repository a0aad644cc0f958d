"""Growth: whether an event costs more when more events wait, whether memory grows, and what more workers bring and cost.

10,000 rows are kept a partition, as by default, on 4 partitions. So the table is full after 100,000 events. The time an event is measured
by the changelog's end (brokers.written_pace), which moves often enough even for 10,000 events in a tenth of a second. Memory is the
worker's resident set once all events are recorded.

1, 2 and 4 workers share the partitions and wait. Then the events are written. The figures are events a second, of all workers together and
of each on average. CPU time is for an event, and in per cent of one core. If the machine has fewer cores than workers and brokers want,
the figures show what one more worker costs, not what it brings.
"""

import asyncio
import time
from collections.abc import Callable

from bench.brokers import PARTITIONS, Pace, delete_topics, fill, make_topic, recorded_pace, written_pace
from bench.http import get, is_ready
from bench.run import Program, Run, free_port, say

ROWS_KEPT = 10_000
SETTLE_SECONDS = 1.5


def measure(run: Run) -> None:
    topics = {events: run.fresh(f"growth-{events}") for events in run.size.growth}
    say(f"Writing {sum(topics):,} events ...")
    for events, topic in topics.items():
        asyncio.run(fill(run.bootstrap, topic, events))
    for _ in run.rounds("growth"):
        for events, topic in topics.items():
            record(run, topic, events)
        for workers in (1, 2, 4):
            share(run, run.size.events, workers)
        asyncio.run(delete_topics(run.bootstrap, unless=lambda name: name in topics.values()))
    asyncio.run(delete_topics(run.bootstrap, unless=lambda topic: False))


def record(run: Run, topic: str, events: int) -> None:
    group = run.fresh("growth")
    with run.running(worker(run, topic, group, free_port())) as [one]:
        pace = asyncio.run(written_pace(run.bootstrap, f"{group}-events-changelog", events, messages(events), one.cpu_seconds))
        run.found("growth", f"{events:,} events", "µs an event", 1e6 / pace.events_a_second)
        run.found("growth", f"{events:,} events, CPU", "µs an event", pace.cpu_us_an_event)
        time.sleep(SETTLE_SECONDS)
        run.found("growth, memory", f"{events:,} events", "MB", one.resident_mb())


def share(run: Run, events: int, workers: int) -> None:
    topic, group = run.fresh("growth-shared"), run.fresh("growth")
    asyncio.run(make_topic(run.bootstrap, topic, message_timestamp_type="LogAppendTime"))
    ports = [free_port() for _ in range(workers)]
    started = [worker(run, topic, group, port) for port in ports]
    with run.running(*started):
        for program, port in zip(started, ports, strict=True):
            program.wait_for(owns(port, PARTITIONS // workers))
        pace = asyncio.run(
            recorded_pace(
                run.bootstrap,
                topic,
                f"{group}-events-changelog",
                events,
                messages(events),
                lambda: sum(program.cpu_seconds() for program in started),
            )
        )
    found(run, f"{workers} {'worker' if workers == 1 else 'workers'}", workers, pace)


def owns(port: int, partitions: int) -> Callable[[Program], bool]:
    """Whether a worker of ours is ready, with so many partitions."""
    return lambda program: is_ready(port)(program) and len(get(port, "/status")["partitions"]) == partitions


def found(run: Run, candidate: str, workers: int, pace: Pace) -> None:
    part = "growth, workers"
    run.found(part, candidate, "events/s", pace.events_a_second)
    run.found(part, f"{candidate}, each", "events/s", pace.events_a_second / workers)
    run.found(part, f"{candidate}, CPU", "µs an event", pace.cpu_us_an_event)
    run.found(part, f"{candidate}, CPU", "% of a core", pace.cpu_us_an_event * pace.events_a_second / 1e4)


def worker(run: Run, topic: str, group: str, port: int) -> Program:
    return run.ours("consumer", topic, group, PORT=port, KAFKA_PARTITIONS=PARTITIONS, ROWS_KEPT=ROWS_KEPT)


def messages(events: int) -> int:
    """How many messages so many events make in the changelog: a row each, and a tombstone for each row that expires."""
    return events + sum(max(0, len(range(partition, events, PARTITIONS)) - ROWS_KEPT) for partition in range(PARTITIONS))
