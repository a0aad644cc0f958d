"""Clients that ask for the largest answers all the time hold up neither the event loop nor the group.

READ_SECONDS=60 makes it a minute. `pytest -s` shows the figures.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psutil

from tests import topics
from tests.conftest import Kafka
from tests.worker import ROOT, Worker, wait_for

SECONDS = float(os.environ.get("READ_SECONDS", "5"))
ROWS = 500  # of 64 KB, of each of two partitions
READERS, POSTS_A_SECOND = 10, 200
REBALANCES = "labapp_rebalances_total"


def test_large_answers_under_load(kafka: Kafka, names: dict[str, str], start_worker: Callable[..., Worker]) -> None:
    """Ten clients ask for 1,000 rows of 64 KB in a loop, beside 200 posts/s: no rebalance, and no turn of a loop has 20 ms of CPU."""
    topics.make(kafka.bootstrap, names["KAFKA_TOPIC"], 2)
    value = b'{"text":"%s"}' % (b"x" * 64_000)
    for partition in (0, 1):
        topics.write(kafka.bootstrap, names["KAFKA_TOPIC"], ((b"%d-%d" % (partition, n), value) for n in range(ROWS)), partition)
    worker = start_worker(module="tests.watched").ready()
    recorded = [f'labapp_rows{{partition="{partition}",topic="{names["KAFKA_TOPIC"]}"}}' for partition in (0, 1)]
    wait_for(lambda: [worker.metric(name) for name in recorded] == [ROWS, ROWS], "all recorded", 60)
    rebalances, before, cpu = worker.metric(REBALANCES), len(worker.log), psutil.Process(worker.process.pid).cpu_times()

    both = [client(worker, "read", READERS), client(worker, "post", POSTS_A_SECOND)]
    read, posted = [figures(one) for one in both]

    used, log = psutil.Process(worker.process.pid).cpu_times(), worker.log[before:]
    print(f"\n{read} {posted}, the worker's CPU: {used.user + used.system - cpu.user - cpu.system:.1f} s")
    assert worker.metric(REBALANCES) == rebalances
    assert "Held " not in log, log
    assert (read["failed"], posted["failed"]) == (0, 0)
    assert read["read"] > READERS
    wait_for(lambda: sum(worker.metric(name) or 0 for name in recorded) == 2 * ROWS + posted["posted"], "all posts recorded", 20)


def client(worker: Worker, kind: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.readers", str(worker.port), str(SECONDS), kind, str(count)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def figures(process: subprocess.Popen[str]) -> dict[str, Any]:
    text, _ = process.communicate()
    assert process.returncode == 0
    return json.loads(text)
