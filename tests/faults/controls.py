"""Runs in which events must be missing, or rows wrong. They show that the tool finds what it looks for.

`acks`: the leader alone acknowledges a write, while its follower is frozen. Then the leader is killed, and the follower leads. (With acks=0
the app has no offset for its answer, so each post would be answered 500.)

`writers`: a program that does not own the partition writes other events' values into the changelog, as an owner without fencing would.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable

import orjson

from labapp.lab import BROKERS, processes
from labapp.lab.faults import lose
from tests import topics
from tests.faults import cluster
from tests.faults.faults import Fault, Strike
from tests.faults.outcome import Outcome
from tests.faults.plan import plan
from tests.faults.run import Say, run, say_at_once
from tests.faults.target import CHANGELOG, CONSUMERS, TOPIC, Target, target

RATE = 150
SECONDS = 8
GIVE_UP_SECONDS = 15  # missing events stay missing
ROWS_WRITTEN = 5  # a partition


async def lose_leader(target: Target, seconds: float) -> None:
    """The records that only the leader has are lost."""
    leader = await cluster.leader(target.brokers, TOPIC, 0)
    assert leader is not None
    await asyncio.to_thread(lose, target.lab, leader, lambda text: None)


async def write_beside(target: Target, seconds: float) -> None:
    """Gives the newest rows of each partition the oldest row's value. Then every consumer restores its rows."""
    await asyncio.to_thread(write_foreign_rows, target)
    for name in CONSUMERS:
        await asyncio.to_thread(processes.kill, target.lab, name)


def write_foreign_rows(target: Target) -> None:
    rows: dict[int, dict[bytes, bytes]] = defaultdict(dict)
    for record in topics.read(target.brokers, CHANGELOG):
        rows[record.partition][record.key] = record.value
    for partition, found in rows.items():
        oldest, *_ = found.values()
        foreign = {key: {**orjson.loads(found[key]), "value": orjson.loads(oldest)["value"]} for key in list(found)[-ROWS_WRITTEN:]}
        topics.write(target.brokers, CHANGELOG, [(key, orjson.dumps(row)) for key, row in foreign.items()], partition)


CONTROLS: dict[str, tuple[Strike, dict[str, str], Callable[[Outcome], int]]] = {
    "acks": (lose_leader, {"FAUST_PRODUCER_ACKS": "1"}, lambda outcome: len(outcome.missing)),
    "writers": (write_beside, {}, lambda outcome: len(outcome.wrong)),
}


def control(name: str, say: Say = say_at_once) -> tuple[Outcome, int]:
    """The outcome, and how many of the things that must be found it has. Zero if a worker is not ready, because nobody sees its rows."""
    strike, settings, found = CONTROLS[name]
    fault = Fault(f"control {name}", strike, (0.0, 0.0), frozenset(BROKERS))
    with target(**settings) as struck:
        outcome = asyncio.run(run(struck, SECONDS, plan([fault], seed=1), RATE, say, GIVE_UP_SECONDS))
    return outcome, 0 if outcome.limbo else found(outcome)
