"""Faults under load, drawn from a seed: `python -m tests.faults --seconds 600 --seed 1 --rate 150`, or `make faults` for three seeds.

Starts a lab of its own with two consumers, sends events over HTTP, and kills, stops or freezes one process after the other, or all
brokers at once. At the end each acknowledged key is looked for among the rows of both consumers, one by one.

*Time without service* of a fault: the longest time, from its begin until the next one, in which one of the partitions got no event
acknowledged (posts), or recorded (rows: by the rows' own *consumed*).
"""

import argparse
import asyncio
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp

from labapp.lab import BROKERS, KAFKA, PORTS, Lab, processes
from tests.worker import free_port

CONSUMERS = ("consumer", "second-consumer")
WORKERS = ("producer", *CONSUMERS)
FREEZE_SECONDS = (2, 20)
CONNECTIONS = 64
GIVE_UP_SECONDS = 90
PARTITIONS = (0, 1)


@dataclass
class Outcome:
    sent: int = 0
    acknowledged: dict[str, tuple[int, int]] = field(default_factory=dict)  # key: partition, acknowledged_us
    refused: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    faults: list[tuple[str, int]] = field(default_factory=list)  # what, since when in microseconds
    until_us: int = 0

    @property
    def missing(self) -> set[str]:
        return self.acknowledged.keys() - {row["key"] for row in self.rows}

    @property
    def twice(self) -> int:
        return len(self.rows) - len({row["key"] for row in self.rows})


def now_us() -> int:
    return time.time_ns() // 1000


# -- faults


@dataclass(frozen=True)
class Fault:
    what: str
    strike: Callable[[Lab, random.Random], None]


def kill(*names: str) -> Fault:
    def strike(lab: Lab, draw: random.Random) -> None:
        for name in names:
            processes.kill(lab, name)

    return Fault(f"kill {' and '.join(names)}", strike)


def stop_and_start(name: str) -> Fault:
    def strike(lab: Lab, draw: random.Random) -> None:
        processes.stop(lab, name)
        time.sleep(draw.uniform(0, 8))  # how long it is down is part of the fault
        processes.start(lab, name, lambda text: None)

    return Fault(f"stop {name}", strike)


def freeze(name: str) -> Fault:
    def strike(lab: Lab, draw: random.Random) -> None:
        pid = {status.name: status.pid for status in processes.statuses(lab)}[name]
        if pid is None:
            return
        os.kill(pid, signal.SIGSTOP)
        time.sleep(draw.uniform(*FREEZE_SECONDS))
        os.kill(pid, signal.SIGCONT)

    return Fault(f"freeze {name}", strike)


FAULTS = [make(name) for name in (*WORKERS, *KAFKA) for make in (kill, stop_and_start, freeze)] + [kill(*BROKERS)]


def ready(lab: Lab) -> None:
    """Returns once every process is ready again; raises LabError if one is not within the lab's own time."""
    for name in (*KAFKA, *WORKERS):
        processes.start(lab, name, lambda text: None)


# -- load


async def send(lab: Lab, rate: int, outcome: Outcome, over: asyncio.Event) -> None:
    """Posts `rate` events a second, whatever the answers, until `over`; returns when all are answered."""
    url = f"http://127.0.0.1:{lab.ports['producer']}/"
    under_way: set[asyncio.Task[None]] = set()
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        began = asyncio.get_running_loop().time()
        while not over.is_set():
            task = asyncio.create_task(post(session, url, f"event-{outcome.sent}", outcome))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            outcome.sent += 1
            await asyncio.sleep(max(0.0, began + outcome.sent / rate - asyncio.get_running_loop().time()))
        await asyncio.gather(*under_way)


async def post(session: aiohttp.ClientSession, url: str, key: str, outcome: Outcome) -> None:
    try:
        async with session.post(url, json={"id": key, "clicked": now_us() // 1000}, headers={"Idempotency-Key": key}) as response:
            answer = await response.json()
            if response.status == 200:
                outcome.acknowledged[key] = (answer["partition"], now_us())
            elif response.status == 503:
                outcome.refused += 1
            else:
                raise SystemExit(f"A post was answered {response.status}: {answer}")
    except (aiohttp.ClientError, TimeoutError, OSError):
        outcome.refused += 1


async def read_rows(lab: Lab) -> list[dict[str, Any]]:
    """All rows of both consumers, once both are ready."""
    rows = []
    async with aiohttp.ClientSession() as session:
        for name in CONSUMERS:
            cursor: str | None = ""
            while cursor is not None:
                url = f"http://127.0.0.1:{lab.ports[name]}/events?limit=1000{cursor and f'&before={cursor}'}"
                async with session.get(url) as response:
                    page = await response.json()
                    if response.status == 503:
                        return []
                rows += page["events"]
                cursor = page["next"]
    return rows


# -- the run


@contextmanager
def lab_of_its_own() -> Iterator[Lab]:
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        lab = Lab(Path(folder), {name: free_port() for name in PORTS})
        with processes.running(lab, (*KAFKA, *WORKERS), lambda text: None):
            yield lab


async def run(lab: Lab, seconds: float, seed: int, rate: int, say: Callable[[str], None] = print, kinds: list[Fault] = FAULTS) -> Outcome:
    """Load and faults for so long, then waits until every acknowledged key has a row, for GIVE_UP_SECONDS at most."""
    outcome, draw, over = Outcome(), random.Random(seed), asyncio.Event()
    sender = asyncio.create_task(send(lab, rate, outcome, over))
    end = time.monotonic() + seconds
    await asyncio.sleep(2)
    faults: list[Fault] = []
    while time.monotonic() < end:
        if not faults:  # each once before any comes twice
            faults = draw.sample(kinds, len(kinds))
        fault = faults.pop()
        outcome.faults.append((fault.what, now_us()))
        say(f"{time.strftime('%H:%M:%S')} {fault.what} ({len(outcome.acknowledged)} of {outcome.sent} acknowledged)")
        await asyncio.to_thread(fault.strike, lab, draw)
        await asyncio.to_thread(ready, lab)
        await asyncio.sleep(draw.uniform(1, 6))
        if sender.done():
            sender.result()
    over.set()
    await sender
    outcome.until_us = now_us()
    give_up = time.monotonic() + GIVE_UP_SECONDS
    while not outcome.rows or outcome.missing or outcome.twice:
        outcome.rows = await read_rows(lab)
        if time.monotonic() > give_up:
            break
        await asyncio.sleep(0.5)
    return outcome


def without_service(outcome: Outcome) -> dict[str, tuple[list[float], list[float]]]:
    """By fault: seconds in which a partition stood still, each time, for posts and for rows."""
    posts: dict[int, list[int]] = defaultdict(list)
    rows: dict[int, list[int]] = defaultdict(list)
    for partition, at_us in outcome.acknowledged.values():
        posts[partition].append(at_us)
    for row in outcome.rows:
        rows[row["partition"]].append(row["stages"]["consumed_us"])
    ends = [since_us for _, since_us in outcome.faults[1:]] + [outcome.until_us]
    found: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for (what, since_us), until_us in zip(outcome.faults, ends, strict=True):
        for figures, times in zip(found[what], (posts, rows), strict=True):
            figures.append(max(_longest_gap(sorted(times[partition]), since_us, until_us) for partition in PARTITIONS) / 1e6)
    return found


def _longest_gap(times_us: list[int], since_us: int, until_us: int) -> int:
    inside = [since_us, *(at for at in times_us if since_us <= at <= until_us), until_us]
    return max(later - earlier for earlier, later in pairwise(inside))


def report(outcome: Outcome) -> str:
    lines = [f"{'fault':<28} {'times':>5}  {'posts stood still':>22}  {'rows stood still':>22}"]
    for what, (posts, rows) in sorted(without_service(outcome).items()):
        shown = (f"{statistics.median(f):6.1f} s, at most {max(f):4.1f}" for f in (posts, rows))
        lines.append(f"{what:<28} {len(posts):>5}  {'  '.join(shown)}")
    recorded = len({row["key"] for row in outcome.rows})
    again = sum(row["deliveries"] > 1 for row in outcome.rows)
    lines.append(
        f"faults {len(outcome.faults)}, sent {outcome.sent}, acknowledged {len(outcome.acknowledged)}, refused {outcome.refused}, "
        f"recorded {recorded} ({again} delivered more than once), missing {len(outcome.missing)}, twice {outcome.twice}"
    )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Faults under load, then a count of every event.")
    parser.add_argument("--seconds", type=float, default=600, help="of each seed")
    parser.add_argument("--seed", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--rate", type=int, default=150, help="events a second")
    parser.add_argument("--only", nargs="+", metavar="FAULT", help="these faults, such as 'kill broker-1'; default: all")
    options = parser.parse_args()
    kinds = [fault for fault in FAULTS if not options.only or fault.what in options.only]
    if not kinds:
        parser.error(f"a fault is one of: {', '.join(fault.what for fault in FAULTS)}")
    os.environ["ROWS_KEPT"] = str(10_000_000)
    failed = False
    for seed in options.seed:
        with lab_of_its_own() as lab:
            outcome = asyncio.run(run(lab, options.seconds, seed, options.rate, kinds=kinds))
        print(f"\nseed {seed}\n{report(outcome)}\n", flush=True)
        failed |= bool(outcome.missing or outcome.twice or not outcome.acknowledged)
        if outcome.missing:
            print("missing:", *sorted(outcome.missing)[:20])
    return failed


if __name__ == "__main__":
    sys.exit(main())
