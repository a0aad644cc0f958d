"""Half an hour that must end with flat memory: `python -m tests.faults.soak`.

It sends events at a steady rate, reads two streams, and keeps a page open in a browser. Every two minutes it injects a fault that ends no
worker. A consumer of its own collects the changelog's keys as they come, since the workers keep the newest rows only. Each acknowledged key
must be among them. It fits a straight line to the memory of each worker.
"""

import argparse
import asyncio
import contextlib
import itertools
import logging
import signal
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator

import aiohttp
import psutil
from aiokafka import AIOKafkaConsumer
from playwright.async_api import async_playwright

from labapp.lab import WORKERS, processes
from tests import topics
from tests.faults.faults import FAULTS
from tests.faults.load import send
from tests.faults.outcome import Outcome
from tests.faults.plan import plan
from tests.faults.run import recover, say_at_once, strike
from tests.faults.target import CHANGELOG, CONSUMERS, TOPIC, Target, target
from tests.needs import CHROMIUM, FLAGS
from tests.worker import request, wait_for

# A worker that ends begins with fresh memory, so its line would say nothing.
ENDING = {f"{what} {name}" for what in ("kill", "stop") for name in (*WORKERS, "third-consumer")}
KINDS = [fault for fault in FAULTS if fault.what not in ENDING]
SAMPLE_SECONDS = 5
SETTLING_SECONDS = 300  # caches and rows fill
# Before it is measured, each consumer once reads this backlog and has all partitions. Else the first long fault would raise its memory by
# what that takes, up to 45 MB, and the line through it would rise though nothing grows.
PARTITIONS = 3
ROWS_KEPT = 10_000
BACKLOG = 60_000
BEFORE = "before-"  # how their keys begin
SAMPLES_LEAST = 10
MOST_MB_A_MINUTE = 1.0

Memory = dict[tuple[str, int], list[tuple[float, float]]]  # by worker and process: minutes since the begin, MB


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--every", type=float, default=120, help="seconds from one fault to the next")
    parser.add_argument("--rate", type=int, default=500, help="events a second")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    with target(ROWS_KEPT=str(ROWS_KEPT), ROWS_KEPT_BYTES=str(64 << 20), KAFKA_PARTITIONS=str(PARTITIONS)) as struck:
        catch_up(struck)
        return asyncio.run(soak(struck, options))


def catch_up(struck: Target) -> None:
    """Lets one consumer after the other read a backlog alone: the others are frozen until it has their partitions and all rows."""
    records = [(f"{BEFORE}{number}".encode(), b'{"id": %d, "clicked": 1764000000000}' % number) for number in range(BACKLOG)]
    headers = [("received_us", b"1764000000000000"), ("produced_us", b"1764000000000000")]
    for name in CONSUMERS:
        others = [other for other in CONSUMERS if other != name]
        for other in others:
            struck.signal(other, signal.SIGSTOP)
        try:
            topics.write(struck.brokers, TOPIC, records, headers=headers)
            wait_for(lambda port=struck.lab.ports[name]: rows(port) == [ROWS_KEPT] * PARTITIONS, f"all rows of {name}", 60)
        finally:
            for other in others:
                struck.signal(other, signal.SIGCONT)
        if late := struck.in_limbo():
            raise SystemExit(f"Not ready after the backlog: {late}")


def rows(port: int) -> list[float]:
    """How many rows a worker keeps of each partition that it owns."""
    lines = request(port, "GET", "/metrics").body.decode().splitlines()
    return [float(line.split()[-1]) for line in lines if line.startswith("labapp_rows{")]


async def soak(struck: Target, options: argparse.Namespace) -> int:
    outcome, over, streamed, recorded = Outcome(), asyncio.Event(), set[str](), set[str]()
    memory: Memory = defaultdict(list)
    began = time.monotonic()
    async with asyncio.TaskGroup() as tasks, page(struck):
        tasks.create_task(send(lambda: struck.producer, options.rate, outcome, over))
        beside = [tasks.create_task(watch_memory(struck, memory, began)), tasks.create_task(collect(struck.brokers, recorded))]
        beside += [tasks.create_task(follow(struck.lab.ports[name], streamed)) for name in CONSUMERS[:2]]
        for number, step in enumerate(plan(KINDS, options.seed, overlapping=0), start=1):
            if number * options.every >= options.seconds or outcome.limbo:
                break
            await asyncio.sleep(began + number * options.every - time.monotonic())
            say_at_once(f"{time.strftime('%H:%M:%S')} {step.what} ({len(outcome.acknowledged)} of {len(outcome.posted)} acknowledged)")
            await asyncio.gather(*(strike(struck, drawn, say_at_once) for drawn in step.faults))
            await recover(struck, outcome, step.what)
        await asyncio.sleep(began + options.seconds - time.monotonic())
        over.set()
        await settled(outcome, recorded)
        for task in beside:
            task.cancel()
    missing, foreign = outcome.acknowledged.keys() - recorded, recorded - outcome.posted.keys()
    print(
        f"sent {len(outcome.posted)}, acknowledged {len(outcome.acknowledged)}, refused {outcome.refused}, recorded {len(recorded)}, "
        f"missing {len(missing)}, of unknown keys {len(foreign)}, streamed {len(streamed)}, limbo {outcome.limbo or 0}"
    )
    lines, rising = fitted(memory)
    print("\n".join(lines))
    return int(bool(missing or foreign or outcome.limbo or rising))


def fitted(memory: Memory) -> tuple[list[str], list[str]]:
    """A line for each process: its memory, and its slope after the first minutes. The second list names whose memory rises."""
    lines, rising = [], []
    for (name, pid), found in sorted(memory.items()):
        after = [(minutes, mb) for minutes, mb in found if minutes * 60 >= SETTLING_SECONDS]
        if len(after) < SAMPLES_LEAST:
            lines.append(f"{name} ({pid}): {len(after)} samples after the first {SETTLING_SECONDS} s, too few")
            continue
        slope = statistics.linear_regression(*zip(*after, strict=True)).slope
        first, last, most = after[0][1], after[-1][1], max(mb for _, mb in after)
        lines.append(f"{name} ({pid}): {first:.0f} MB at first, {last:.0f} MB at the end, {most:.0f} MB at most; {slope:+.2f} MB a minute")
        if slope > MOST_MB_A_MINUTE:
            rising.append(name)
    return lines, rising


async def settled(outcome: Outcome, recorded: set[str]) -> None:
    """Returns once each acknowledged key was recorded, or after a minute."""
    end = time.monotonic() + 60
    while outcome.acknowledged.keys() - recorded and time.monotonic() < end:
        await asyncio.sleep(0.5)


async def collect(bootstrap: str, recorded: set[str]) -> None:
    """Adds the keys of rows as they are written. It reads from the beginning, and goes on where it was when a broker comes back."""
    async with AIOKafkaConsumer(CHANGELOG, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        while True:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                keys = {record.key.decode() for record in records if record.value is not None}
                recorded |= {key for key in keys if not key.startswith(BEFORE)}


async def watch_memory(struck: Target, memory: Memory, began: float) -> None:
    for number in itertools.count(1):
        for status in await asyncio.to_thread(processes.statuses, struck.lab):
            if status.name in WORKERS and status.pid:
                with contextlib.suppress(psutil.NoSuchProcess):
                    resident = psutil.Process(status.pid).memory_info().rss
                    memory[status.name, status.pid].append(((time.monotonic() - began) / 60, resident / 1e6))
        if number % 60 == 0:
            last = {name: round(found[-1][1]) for (name, _), found in memory.items()}
            say_at_once(f"{time.strftime('%H:%M:%S')} MB: {last}")
        await asyncio.sleep(SAMPLE_SECONDS)


async def follow(port: int, streamed: set[str]) -> None:
    """Reads one worker's stream as long as it lives, from where it broke off."""
    last = ""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_read=40), read_bufsize=1 << 22) as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                async with session.get(
                    f"http://127.0.0.1:{port}/events/stream", headers={"Last-Event-ID": last} if last else {}
                ) as response:
                    async for line in response.content:
                        if line.startswith(b"id: "):
                            last = line[4:].decode().strip()
                        elif b'"key":"' in line:
                            streamed.add(line.split(b'"key":"')[1].split(b'"')[0].decode())
            await asyncio.sleep(0.5)


@contextlib.asynccontextmanager
async def page(struck: Target) -> AsyncIterator[None]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM if CHROMIUM.exists() else None, args=FLAGS)
        await (await browser.new_page()).goto(f"http://127.0.0.1:{struck.lab.ports['producer']}/page/")
        yield
        await browser.close()


if __name__ == "__main__":
    sys.exit(main())
