"""Reading: how many `GET /events/{key}` a second a worker answers, for its own rows and for rows of the group's other worker.

Two consumers share 4 partitions. The client asks one of them for all keys of its own rows, one after the other. Then it asks the same
worker for the keys of the other worker, which it has to ask each time.
"""

import asyncio
from collections.abc import Callable

from bench.brokers import PARTITIONS, delete_topics, fill
from bench.growth import owns
from bench.http import rows
from bench.load import post
from bench.post import WARM_UP_SECONDS, WAYS
from bench.run import Program, Run, free_port

EVENTS = 4000


def measure(run: Run) -> None:
    topic = run.fresh("reading")
    asyncio.run(fill(run.bootstrap, topic, EVENTS))
    for _ in run.rounds("GET"):
        group, ports = run.fresh("reading"), [free_port(), free_port()]
        workers = [run.ours("consumer", topic, group, PORT=port, KAFKA_PARTITIONS=PARTITIONS) for port in ports]
        with run.running(*workers):
            for worker, port in zip(workers, ports, strict=True):
                worker.wait_for(owns(port, PARTITIONS // 2))
            workers[0].wait_for(have(ports, EVENTS))
            for candidate, owner in (("own rows", ports[0]), ("the other worker's rows", ports[1])):
                keys = run.lab.folder / "programs" / "keys"
                keys.write_text("\n".join(row["key"] for row in rows(owner)))
                for way, connections in WAYS.items():
                    post(ports[0], keys=keys, connections=connections, seconds=WARM_UP_SECONDS)
                    found = post(ports[0], keys=keys, connections=connections, seconds=run.size.post_seconds)
                    run.found(f"GET /events/{{key}}, {way}", candidate, "requests/s", found.rate)
    asyncio.run(delete_topics(run.bootstrap, unless=lambda topic: False))


def have(ports: list[int], events: int) -> Callable[[Program], bool]:
    """Whether the workers on these ports have so many rows together."""
    return lambda _: sum(1 for port in ports for _ in rows(port)) == events
