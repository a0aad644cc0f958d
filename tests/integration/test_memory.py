"""A worker's memory is bounded by bytes, not by counts."""

from collections.abc import Callable

import psutil

from tests import topics
from tests.conftest import Kafka
from tests.worker import Worker, wait_for

StartWorker = Callable[..., Worker]
EVENTS = 4000  # of each of two partitions
MEGABYTE = 1024 * 1024


def test_large_events_that_nobody_asks_for(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """480 MB of events, none of them fetched by `GET /`, beside 2 x 32 MiB of rows: the worker stays below 300 MB."""
    topic, changelog = names["KAFKA_TOPIC"], f"{names['CONSUMER_GROUP']}-events-changelog"
    topics.make_on(kafka.bootstrap, topic, [1, 2], {})
    topics.make_on(kafka.bootstrap, changelog, [1, 2], {"cleanup.policy": "compact"})
    value = b'{"text":"%s"}' % (b"x" * 60_000)
    for partition in (0, 1):
        topics.write(kafka.bootstrap, topic, ((b"%d-%d" % (partition, n), value) for n in range(EVENTS)), partition)
    worker = start_worker(ROLE="consumer", ROWS_KEPT_BYTES=32 * MEGABYTE).ready(60)
    process, largest = psutil.Process(worker.process.pid), 0

    def all_committed() -> bool:
        nonlocal largest
        largest = max(largest, process.memory_info().rss)
        return sum(topics.committed(kafka.bootstrap, names["CONSUMER_GROUP"], topic).values()) == 2 * EVENTS

    wait_for(all_committed, "all recorded", 60)
    worker.kill()
    for name in (topic, changelog):
        topics.remove(kafka.bootstrap, name)  # the disk is not ours alone
    assert largest < 300 * MEGABYTE, f"{largest // MEGABYTE} MB"
