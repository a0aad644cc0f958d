"""Recording: how many waiting events a second become rows, in one process, on 4 partitions with 2 copies each.

All candidates read the same topic, each round in a group of its own. The bench asks for the group's committed offsets every 10 ms. The
time counts from their first movement to the end (brokers.committed_pace), so start and assignment do not count. All candidates commit five
times a second, Faust's idiom, Quix and the loops by a setting. Faust's idiom is slow, so it gets a shorter topic. FastStream had
committed all of that topic at the first look, so it gets the long one. The candidate's own CPU time in that period is a figure too, because
other load on the machine hardly changes it.

- ours: everything on: rows, changelog, expiry (10,000 rows kept a partition), dead letters, HTTP.
- the limit: what aiokafka allows without anything else: `getmany`, JSON, a dict, a batched changelog of the values.
- the limit with our rows: the same with our changelog, byte for byte. It has a row for each event, and a tombstone for each row that
  expires.
- Quix Streams with state: a row an event in its store, with its changelog.
- Faust's idiom: one agent that sets one table row an event; changelog on.
- aiokafka `async for`, FastStream: nothing kept.
"""

import asyncio
from collections.abc import Callable

from bench.brokers import Pace, committed_pace, delete_topics, fill, make_topic
from bench.run import Program, Run, free_port, say

MANY, FEW = "recording-many", "recording-few"


def measure(run: Run) -> None:
    say(f"Writing {run.size.events:,} events ...")
    asyncio.run(fill(run.bootstrap, MANY, run.size.events))
    asyncio.run(fill(run.bootstrap, FEW, run.size.few_events))
    for _ in run.rounds("recording"):
        for candidate, topic, start in (
            ("ours", MANY, ours),
            ("the limit", MANY, limit),
            ("the limit with our rows", MANY, limit_with_rows),
            ("Quix Streams with state", MANY, quix),
            ("aiokafka async for, nothing kept", MANY, loop),
            ("FastStream, nothing kept", MANY, faststream),
            ("Faust's idiom", FEW, idiom),
        ):
            pace = pace_of(run, topic, start)
            run.found("recording", candidate, "events/s", pace.events_a_second)
            run.found("recording, CPU", candidate, "µs an event", pace.cpu_us_an_event)
        asyncio.run(delete_topics(run.bootstrap, unless=lambda topic: topic in (MANY, FEW)))
    asyncio.run(delete_topics(run.bootstrap, unless=lambda topic: False))


def pace_of(run: Run, topic: str, start: Callable[[Run, str, str], Program]) -> Pace:
    group = run.fresh("recording")
    count = run.size.events if topic == MANY else run.size.few_events
    with run.running(start(run, topic, group)) as [program]:
        return asyncio.run(committed_pace(run.bootstrap, group, topic, count, program.cpu_seconds))


def ours(run: Run, topic: str, group: str) -> Program:
    return run.ours("consumer", topic, group, PORT=free_port(), KAFKA_PARTITIONS=4)


def limit(run: Run, topic: str, group: str) -> Program:
    changelog = f"{group}-changelog"
    asyncio.run(make_topic(run.bootstrap, changelog, cleanup_policy="compact"))
    return run.program("limit", TOPIC=topic, GROUP=group, CHANGELOG=changelog)


def limit_with_rows(run: Run, topic: str, group: str) -> Program:
    changelog = f"{group}-changelog"
    asyncio.run(make_topic(run.bootstrap, changelog, cleanup_policy="compact", message_timestamp_type="LogAppendTime"))
    return run.program("limit", TOPIC=topic, GROUP=group, CHANGELOG=changelog, ROWS_KEPT=10_000)


def quix(run: Run, topic: str, group: str) -> Program:
    return run.program("quix", peers=True, TOPIC=topic, GROUP=group, STATE=run.lab.folder / "programs" / group)


def loop(run: Run, topic: str, group: str) -> Program:
    return run.program("loop", TOPIC=topic, GROUP=group)


def faststream(run: Run, topic: str, group: str) -> Program:
    return run.program("faststream_app", peers=True, TOPIC=topic, GROUP=group)


def idiom(run: Run, topic: str, group: str) -> Program:
    return run.program("faust_idiom", TOPIC=topic, GROUP=group, DATA=run.lab.folder / "programs" / group)
