"""Reads the arguments, makes the run, and prints the figures."""

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from labapp.lab import KAFKA, PORTS, Lab, processes
from tests.faults.load import now_us, read_rows, send
from tests.faults.outcome import Outcome
from tests.rolling import report
from tests.rolling.balancer import haproxy, passes
from tests.rolling.restart import Restarted, restart_in_turn
from tests.worker import PATIENCE, Answer, Worker, free_port, wait_for

SETTLE_SECONDS = 1.0
FOUND_SECONDS = 60
KEYS_ASKED = 100  # of each worker, at the end


def main() -> int:
    options = _options()
    with group(options) as (url, producers, consumers):
        outcome = asyncio.run(run(url, producers, consumers, options))
        restarts = [one for worker in (*producers, *consumers) for one in worker.restarts]
        print(report.text(outcome, restarts, options.partitions), flush=True)
        unanswered = asked_everywhere(consumers, random.sample(list(outcome.acknowledged), KEYS_ASKED))
        print(f"{KEYS_ASKED} keys asked of each of {len(consumers)} consumers: {unanswered} not answered")
    return int(outcome.failed or unanswered > 0 or (outcome.refused > 0) is not (options.pause == 0))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.rolling", description="Rolling restarts under load, then a count of every event."
    )
    parser.add_argument("--rounds", type=int, default=10, help="restarts of each worker")
    parser.add_argument("--rate", type=int, default=300, help="events a second")
    parser.add_argument("--producers", type=int, default=2)
    parser.add_argument("--consumers", type=int, default=2)
    parser.add_argument("--partitions", type=int, default=2)
    parser.add_argument("--pause", type=float, default=2, help="STOP_PAUSE_SECONDS; 0 is the control, in which posts must be refused")
    return parser.parse_args()


@contextmanager
def group(options: argparse.Namespace) -> Iterator[tuple[str, list[Restarted], list[Restarted]]]:
    """Starts brokers, HAProxy, and all workers, and returns once all are ready."""
    with ExitStack() as stack:
        lab = Lab(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rolling-"))), {name: free_port() for name in PORTS})
        stack.enter_context(processes.running(lab, KAFKA, lambda text: None))
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": lab.bootstrap_servers,
            "KAFKA_PARTITIONS": options.partitions,
            "STOP_PAUSE_SECONDS": options.pause,
            "ROWS_KEPT": 10_000_000,  # every event is to be found at the end
            "ROWS_KEPT_BYTES": 1 << 30,
        }

        def start(role: str, port: int) -> Restarted:
            worker = Restarted(role, lambda: Worker(ROLE=role, PORT=port, **settings))
            stack.callback(lambda: worker.worker.close())
            return worker

        ports = [free_port() for _ in range(options.producers)]
        url = stack.enter_context(haproxy(ports))
        producers = [start("producer", port).awaited() for port in ports]
        consumers = [start("consumer", free_port()) for _ in range(options.consumers)]
        for one in consumers:
            one.awaited()
        all_ready(consumers)  # each worker that joined made the others wait
        passes(url)
        yield url, producers, consumers


async def run(url: str, producers: Sequence[Restarted], consumers: Sequence[Restarted], options: argparse.Namespace) -> Outcome:
    """Restarts producers one by one, and consumers beside them, as two deployments do it. Then waits until every event is found."""
    outcome, over = Outcome(), asyncio.Event()
    sender = asyncio.create_task(send(lambda: url, options.rate, outcome, over))
    await asyncio.sleep(SETTLE_SECONDS)
    await asyncio.gather(*(restart_in_turn(workers, options.rounds, SETTLE_SECONDS) for workers in (producers, consumers)))
    over.set()
    await sender
    outcome.until_us = now_us()
    await asyncio.to_thread(all_ready, consumers)
    give_up = asyncio.get_running_loop().time() + FOUND_SECONDS * PATIENCE
    while not outcome.rows or outcome.missing:
        outcome.rows = await read_rows(one.worker.port for one in consumers)
        if asyncio.get_running_loop().time() > give_up:
            break
        await asyncio.sleep(0.5)
    return outcome


def all_ready(workers: Sequence[Restarted]) -> None:
    """Returns when all are ready at once."""
    wait_for(lambda: all(one.worker.get("/health/ready").status == 200 for one in workers), "all ready", 60)


def asked_everywhere(workers: Sequence[Restarted], keys: Sequence[str]) -> int:
    """How many of these events are not answered by each worker, whichever has the row."""

    def answers(key: str) -> list[Answer]:
        return [one.worker.get(f"/events/{key}") for one in workers]

    return sum({answer.status for answer in answers(key)} != {200} for key in keys)


if __name__ == "__main__":
    sys.exit(main())
