"""POST to row: the time from when an event is due at the client until the consumer has it (*consumed*), on 2 partitions.

Events come one by one (the next when the last is answered), or at 200 a second, whatever the answers. At a rate, the time counts from when
an event was due. Client, producer and consumer are three processes on one machine, so one clock stamps both ends. Each candidate is
started again and warmed up by some hundred events.

- ours: a producer and a consumer as `make run` has them; the rows' own `consumed_us`.
- the workshop's programs: Flask + kafka-python, and aiokafka's loop, which keeps no row.
- the floor: aiokafka alone in one process, without HTTP: from before the send (acks=all) to consumed.
- ours, to recorded, and the floor with a changelog write: until the row, or for the floor the event, is appended to the changelog. The
  broker's clock says when, in whole milliseconds.
- ours, row readable (one by one only): until `GET /events/{key}` answers the row, which is acknowledged in the changelog by then. The
  client asks once the POST is answered, so the answer's own time is included. No other candidate has such a row.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping

from bench.brokers import make_topic
from bench.http import answers, get, is_ready, post_until_readable, rows
from bench.load import Posted, post
from bench.run import Run, free_port

WARM_UP = 300
RATE = 200
CONNECTIONS = 32
PART = {"one by one": "POST to row, one by one", "at a rate": f"POST to row, {RATE} events/s"}


def measure(run: Run) -> None:
    for _ in run.rounds("POST to row"):
        ours(run)
        workshop(run)
        floor(run)


def ours(run: Run) -> None:
    topic, [producer_port, consumer_port] = new_topic(run), (free_port(), free_port())
    consumer = run.ours("consumer", topic, topic, PORT=consumer_port)
    producer = run.ours("producer", topic, topic, PORT=producer_port)
    with run.running(producer, consumer):
        producer.wait_for(is_ready(producer_port))
        consumer.wait_for(is_ready(consumer_port))

        def reached(stage: str) -> dict[int, int]:
            return {row["value"]["id"]: row["stages"][stage] for row in rows(consumer_port)}

        used = {"the producer": producer.cpu_seconds, "the consumer": consumer.cpu_seconds}
        posted = both_ways(run, "ours", producer_port, lambda: reached("consumed_us"), used)
        recorded = reached("recorded_us")
        for part, events in posted.items():
            run.found_times(part, "ours, to recorded", [recorded[number] - due_us for number, due_us in events.due_us.items()])
        readable_us = [post_until_readable(producer_port, consumer_port) for _ in range(min(500, run.size.one_by_one))]
        run.found_times(PART["one by one"], "ours, row readable", readable_us)


def workshop(run: Run) -> None:
    topic, [producer_port, consumer_port] = new_topic(run), (free_port(), free_port())
    producer = run.program("workshop_producer", peers=True, TOPIC=topic, PORT=producer_port)
    consumer = run.program("workshop_consumer", TOPIC=topic, GROUP=topic, PORT=consumer_port)
    with run.running(producer, consumer):
        producer.wait_for(answers(producer_port))
        consumer.wait_for(answers(consumer_port))
        found: dict[int, int] = {}

        def consumed() -> dict[int, int]:
            found.update((event["id"], event["consumed_us"]) for event in get(consumer_port, "/"))
            return found

        both_ways(run, "the workshop's programs", producer_port, consumed)


def both_ways(
    run: Run, candidate: str, port: int, consumed: Callable[[], dict[int, int]], used: Mapping[str, Callable[[], float]] | None = None
) -> dict[str, Posted]:
    """What was posted, by part. `used` has functions that return CPU seconds, by the name of the process."""
    post(port, count=WARM_UP, first_id=10_000_000)
    before = {name: seconds() for name, seconds in (used or {}).items()}
    one_by_one = post(port, count=run.size.one_by_one, stamps=True)
    for name, seconds in before.items():
        cpu_ms = (used[name]() - seconds) * 1000 / run.size.one_by_one
        run.found(f"{PART['one by one']}, CPU", f"{candidate}, {name}", "ms an event", cpu_ms)
    post(port, count=WARM_UP, first_id=20_000_000, rate=RATE, connections=CONNECTIONS)
    paced = post(port, count=run.size.paced, rate=RATE, connections=CONNECTIONS, first_id=1_000_000, stamps=True)
    both = {PART["one by one"]: one_by_one, PART["at a rate"]: paced}
    for part, posted in both.items():
        deadline = time.monotonic() + 30
        while not (at := consumed()).keys() >= posted.due_us.keys():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{candidate}: {len(posted.due_us.keys() - at.keys())} posted events were not consumed")
            time.sleep(0.1)
        run.found_times(part, candidate, [at[number] - due_us for number, due_us in posted.due_us.items()])
    return both


def floor(run: Run) -> None:
    for part, count, rate in ((PART["one by one"], run.size.one_by_one, 0), (PART["at a rate"], run.size.paced, RATE)):
        for candidate, changelog in (("the floor", {}), ("the floor with a changelog write", {"CHANGELOG": new_topic(run)})):
            topic = new_topic(run)
            program = run.program("floor", TOPIC=topic, GROUP=topic, COUNT=count, RATE=rate, WARM_UP=WARM_UP, **changelog)
            with run.running(program):
                if program.process.wait(300):
                    program.alive()
                run.found_times(part, candidate, json.loads(program.log.splitlines()[-1]))


def new_topic(run: Run) -> str:
    topic = run.fresh("latency")
    asyncio.run(make_topic(run.bootstrap, topic, 2, message_timestamp_type="LogAppendTime"))
    return topic
