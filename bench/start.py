"""Start: the seconds from `python -m labapp.lab up`, which is `make run`, until controller, brokers, producer and consumer are ready.

The start is warm: Kafka's jars and the data are there from an earlier start, which is not measured. The bench's own brokers run idle.
"""

import time

from bench.run import Run, free_port
from labapp.lab import PORTS


def measure(run: Run) -> None:
    ports = {name: free_port() for name in PORTS}
    until_ready(run, ports)
    for _ in run.rounds("start"):
        run.found("start", "make run, warm, until ready", "s", until_ready(run, ports))


def until_ready(run: Run, ports: dict[str, int]) -> float:
    began = time.monotonic()
    with run.running(run.lab_up(ports)) as [up]:
        up.wait_for(lambda program: "Ready after" in program.log)
        return time.monotonic() - began
