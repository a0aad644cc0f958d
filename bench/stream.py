"""The event stream: how fast it brings rows, and how much its clients slow down the POSTs of the same worker.

- one client, which reads rows that are already there, on 4 partitions.
- 20 clients, while 1,000 events a second are recorded: the rows a second that all of them get together.
- POSTs at 200 a second to that worker meanwhile, with the clients and without them. The time counts from when each is due to its answer.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from bench.brokers import PARTITIONS, delete_topics, fill, make_topic, written_pace
from bench.http import is_ready
from bench.load import listen, post
from bench.run import Run, free_port

CLIENTS = 20
RECORDED_RATE = 1000
POST_RATE, CONNECTIONS = 200, 32
WARM_UP = 300
PART = "event stream"


def measure(run: Run) -> None:
    topic = run.fresh("stream")
    asyncio.run(fill(run.bootstrap, topic, run.size.rows))
    for _ in run.rounds(PART):
        one_client(run, topic)
        many_clients(run)
        asyncio.run(delete_topics(run.bootstrap, unless=lambda name: name == topic))
    asyncio.run(delete_topics(run.bootstrap, unless=lambda topic: False))


def one_client(run: Run, topic: str) -> None:
    group, port, count = run.fresh("stream"), free_port(), run.size.rows
    settings = {"PORT": port, "KAFKA_PARTITIONS": PARTITIONS, "ROWS_KEPT": count, "ROWS_KEPT_BYTES": 1 << 32}
    with run.running(run.ours("consumer", topic, group, **settings).wait_for(is_ready(port))) as [worker]:
        asyncio.run(written_pace(run.bootstrap, f"{group}-events-changelog", count, count, worker.cpu_seconds))
        oldest = "1;" + ",".join(f"{partition}:0" for partition in range(PARTITIONS))
        run.found(PART, "to one client", "rows/s", listen(port, after=oldest, rows=count))


def many_clients(run: Run) -> None:
    topic, port = run.fresh("stream"), free_port()
    asyncio.run(make_topic(run.bootstrap, topic, message_timestamp_type="LogAppendTime"))
    with run.running(run.ours("all", topic, topic, PORT=port, KAFKA_PARTITIONS=PARTITIONS).wait_for(is_ready(port))):
        steady = run.program("steady", TOPIC=topic, RATE=RECORDED_RATE, PARTITIONS=PARTITIONS)
        with run.running(steady), ThreadPoolExecutor(1) as aside:
            post(port, count=WARM_UP, rate=POST_RATE, connections=CONNECTIONS)
            for candidate in ("no client", f"{CLIENTS} clients"):
                listening = None
                if candidate != "no client":
                    listening = aside.submit(listen, port, streams=CLIENTS, seconds=run.size.paced / POST_RATE + 1)
                posted = post(port, count=run.size.paced, rate=POST_RATE, connections=CONNECTIONS, stamps=True)
                run.found_times(PART, f"POST at {POST_RATE}/s, {candidate}", posted.took_us)
                if listening is not None:
                    run.found(PART, f"to {CLIENTS} clients, of {RECORDED_RATE + POST_RATE:,} recorded/s", "rows/s", listening.result())
            steady.alive()
