"""POST: how many requests a second are answered, each once all in-sync replicas have the event (acks=all).

Requests come one by one on one keep-alive connection, or 64 at a time. Each candidate runs alone, and answers for a moment before it is
measured. The client is the same for all (client.py), and a process of its own.

- ours, producer: ROLE=producer.
- bare aiohttp + aiokafka: a handler that reads the JSON, sends, and answers; nothing else.
- Flask + kafka-python: as the workshop had it, on Flask's own server with its log line a request.
- ours, all roles: one worker that meanwhile records 10,000 events a second, which another process writes to its topic. It has to keep up:
  the events written and recorded a second, including the posted ones, are figures of their own.
"""

import asyncio
import time

from bench.brokers import PARTITIONS, committed, make_topic, written
from bench.http import answers, is_ready
from bench.load import post
from bench.run import Program, Run, free_port

WARM_UP_SECONDS = 1.5
STEADY_RATE = 10_000
WAYS = {"one by one": 1, "64 at a time": 64}
UNIT = "requests/s"


def measure(run: Run) -> None:
    for _ in run.rounds("POST"):
        for candidate, start in (("ours, producer", ours), ("bare aiohttp + aiokafka", bare), ("Flask + kafka-python", flask)):
            topic, port = run.fresh("post"), free_port()
            asyncio.run(make_topic(run.bootstrap, topic, message_timestamp_type="LogAppendTime"))
            with run.running(start(run, topic, port).wait_for(answers(port))):
                for way, connections in WAYS.items():
                    post(port, connections=connections, seconds=WARM_UP_SECONDS)
                    run.found(f"POST, {way}", candidate, UNIT, post(port, connections=connections, seconds=run.size.post_seconds).rate)
        while_recording(run)


def while_recording(run: Run) -> None:
    topic, port = run.fresh("post"), free_port()
    asyncio.run(make_topic(run.bootstrap, topic, message_timestamp_type="LogAppendTime"))
    with run.running(run.ours("all", topic, topic, PORT=port, KAFKA_PARTITIONS=PARTITIONS).wait_for(is_ready(port))):
        steady = run.program("steady", TOPIC=topic, RATE=STEADY_RATE, PARTITIONS=PARTITIONS)
        with run.running(steady):
            post(port, connections=64, seconds=WARM_UP_SECONDS)
            before, began = asyncio.run(reached(run.bootstrap, topic)), time.monotonic()
            posted = post(port, connections=64, seconds=run.size.post_seconds)
            after, seconds = asyncio.run(reached(run.bootstrap, topic)), time.monotonic() - began
            steady.alive()
    run.found("POST, 64 at a time", "ours, all roles, recording 10,000 events/s", UNIT, posted.rate)
    for what, start, end in zip(("written", "recorded"), before, after, strict=True):
        run.found("POST, 64 at a time", f"the same: {what} meanwhile, with the posted ones", "events/s", (end - start) / seconds)


async def reached(bootstrap: str, topic: str) -> tuple[int, int]:
    """How many events the topic has, and how many of them its group has recorded."""
    return await written(bootstrap, topic), await committed(bootstrap, topic, topic)


def ours(run: Run, topic: str, port: int) -> Program:
    return run.ours("producer", topic, topic, PORT=port).wait_for(is_ready(port))


def bare(run: Run, topic: str, port: int) -> Program:
    return run.program("bare_http", TOPIC=topic, PORT=port)


def flask(run: Run, topic: str, port: int) -> Program:
    return run.program("workshop_producer", peers=True, TOPIC=topic, PORT=port)
