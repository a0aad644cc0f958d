"""Every fault. Each takes its duration, and has ended its effect when it returns."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from labapp.lab import BROKERS, KAFKA, WORKERS, processes
from labapp.lab.kafka import NODE_IDS
from tests.faults import cluster
from tests.faults.target import CHANGELOG, GROUP, SPARE, TOPIC, Target
from tests.proxy import Trouble

Strike = Callable[[Target, float], Awaitable[None]]

COORDINATOR = "coordinator"  # whichever broker it is when the fault begins
NETWORK = "network"
DOWN_SECONDS = (0.0, 8.0)
FROZEN_SECONDS = (2.0, 20.0)
TROUBLE_SECONDS = (2.0, 20.0)
LEADERLESS_SECONDS = (2.0, 10.0)


@dataclass(frozen=True)
class Fault:
    """`seconds`: the shortest and the longest duration. `touches`: two faults that touch the same part never overlap."""

    what: str
    strike: Strike
    seconds: tuple[float, float]
    touches: frozenset[str]


def kill(*names: str) -> Fault:
    async def strike(target: Target, seconds: float) -> None:
        for name in names:
            await asyncio.to_thread(processes.kill, target.lab, name)

    return Fault(f"kill {_shown(*names)}", strike, (0.0, 0.0), frozenset(names))


def stop_and_start(name: str) -> Fault:
    async def strike(target: Target, seconds: float) -> None:
        await asyncio.to_thread(processes.stop, target.lab, name)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(target.start, name)

    return Fault(f"stop {_shown(name)}", strike, DOWN_SECONDS, frozenset((name,)))


def freeze(name: str) -> Fault:
    async def strike(target: Target, seconds: float) -> None:
        await asyncio.to_thread(target.signal, name, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(target.signal, name, signal.SIGCONT)

    return Fault(f"freeze {_shown(name)}", strike, FROZEN_SECONDS, frozenset((name,)))


def network(trouble: Trouble, *names: str) -> Fault:
    """A trouble of the network between all workers and these brokers."""

    async def strike(target: Target, seconds: float) -> None:
        struck = [await cluster.coordinator(target.brokers, GROUP) if name == COORDINATOR else name for name in names]
        await asyncio.to_thread(target.network.trouble, trouble, *struck)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(target.network.trouble, Trouble.NONE, *struck)

    return Fault(f"{trouble.value} network to {_shown(*names)}", strike, TROUBLE_SECONDS, frozenset((NETWORK,)))


def no_leader(topic: str, what: str) -> Fault:
    """Partition 0 has its only replica on a broker that is down, while every other partition has a leader."""

    async def strike(target: Target, seconds: float) -> None:
        name, partition = BROKERS[0], 0
        before = await cluster.replicas(target.brokers, topic, partition)
        try:
            await cluster.move(target.brokers, topic, partition, [NODE_IDS[name]])
            await asyncio.to_thread(processes.stop, target.lab, name)
            await asyncio.sleep(seconds)
        finally:
            await asyncio.to_thread(target.start, name)
            await cluster.move(target.brokers, topic, partition, before)

    return Fault(f"no leader for {what}", strike, LEADERLESS_SECONDS, frozenset(BROKERS))


def _shown(*names: str) -> str:
    return " and ".join("third-consumer" if name == SPARE else name for name in names)


FAULTS = [
    *(make(name) for name in (*WORKERS, *KAFKA) for make in (kill, stop_and_start, freeze)),
    kill(*BROKERS),
    *(
        network(trouble, *names)
        for trouble in (Trouble.CUT, Trouble.HALF_OPEN, Trouble.SLOW, Trouble.RESET)
        for names in ((BROKERS[0],), (BROKERS[1],), BROKERS, (COORDINATOR,))
    ),
    no_leader(TOPIC, "a partition of the topic"),
    no_leader(CHANGELOG, "a partition of the changelog"),
]
