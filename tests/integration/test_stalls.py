"""What must not stand still: a spare worker, a partition behind what can't be written, one beside a sick one, a recovery."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from http.client import HTTPException

import pytest

from labapp.lab import processes
from labapp.lab.kafka import NODE_IDS
from tests import topics
from tests.conftest import Kafka
from tests.worker import PATIENCE, Worker, wait_for

StartWorker = Callable[..., Worker]
COMPACT = {"cleanup.policy": "compact"}
FAIL_OVER_SECONDS = 3.5  # until a broker's partitions have other leaders
BROKER_OF = {node_id: name for name, node_id in NODE_IDS.items()}


def status(worker: Worker) -> dict:
    return worker.get("/status").json


def ids(worker: Worker) -> list[int]:
    """The `id` of each row, sorted."""
    return sorted(row["value"]["id"] for row in worker.rows())


def test_a_spare_worker_takes_over(start_worker: StartWorker) -> None:
    """A worker without a partition stays in its group, however long it waits for its turn."""
    session, interval = 6, 4
    producer = start_worker(ROLE="producer", KAFKA_PARTITIONS=1).ready()
    settings = {"ROLE": "consumer", "KAFKA_SESSION_TIMEOUT_SECONDS": session, "FAUST_BROKER_MAX_POLL_INTERVAL": interval}
    workers = [start_worker(**settings).ready() for _ in range(2)]
    wait_for(lambda: sorted(len(status(worker)["partitions"]) for worker in workers) == [0, 1], "one has the partition, the other none")
    active, spare = sorted(workers, key=lambda worker: status(worker)["partitions"], reverse=True)
    time.sleep(interval + 2)  # the fault: the spare has polled nothing meanwhile

    active.kill()
    sent = producer.post({"id": 1}).json["key"]

    wait_for(lambda: spare.get(f"/events/{sent}").status == 200, "the spare records", 10 + session)
    assert status(spare)["partitions"] == [0]
    assert spare.get("/health/ready").status == 200


def test_a_dead_letter_that_is_too_large(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """Its dead letter has the reason and no value, and the record behind it is recorded."""
    topics.make(kafka.bootstrap, names["KAFKA_TOPIC"], 1)
    topics.make(kafka.bootstrap, names["DEAD_LETTER_TOPIC"], 1, {"max.message.bytes": "1000"})
    worker = start_worker(ROLE="consumer").ready()

    topics.write(kafka.bootstrap, names["KAFKA_TOPIC"], [(b"bad", b"x" * 2000), (b"good", b'{"id":1}')])

    wait_for(lambda: ids(worker) == [1], "the good one", 5)
    [dead] = topics.read(kafka.bootstrap, names["DEAD_LETTER_TOPIC"])
    headers = dict(dead.headers)
    assert (headers["topic"], headers["partition"], headers["offset"]) == (names["KAFKA_TOPIC"].encode(), b"0", b"0")
    assert headers["reason"].startswith(b"The ")
    assert (dead.key, dead.value) == (b"bad", None)
    assert worker.process.poll() is None
    assert worker.get("/health/ready").status == 200


def test_a_row_that_is_too_large(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """What the changelog takes no row of is buried with the reason; what it takes one by one, but not together, is recorded."""
    topics.make(kafka.bootstrap, names["KAFKA_TOPIC"], 1)
    topics.make(kafka.bootstrap, f"{names['CONSUMER_GROUP']}-events-changelog", 1, COMPACT | {"max.message.bytes": "2000"})
    small = [(b"k%d" % n, b'{"id":%d,"text":"%s"}' % (n, b"x" * 500)) for n in range(50)]
    large = b'{"id":-1,"text":"%s"}' % (b"x" * 4000)
    topics.write(kafka.bootstrap, names["KAFKA_TOPIC"], [*small[:40], (b"large", large), *small[40:]], 0)
    worker = start_worker(ROLE="consumer").ready()

    wait_for(lambda: ids(worker) == list(range(50)), "all that fit", 5)
    [dead] = topics.read(kafka.bootstrap, names["DEAD_LETTER_TOPIC"])
    assert (dead.key, dead.value, dict(dead.headers)["offset"]) == (b"large", large, b"40")
    assert dict(dead.headers)["reason"].startswith(b"The ")
    assert worker.process.poll() is None


class Trickle:
    """Writes records one by one to two partitions, in the background: each is a fetch of its own, or nearly so."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.written: dict[int, list[float]] = {0: [], 1: []}  # of each partition when each was acknowledged, monotonic
        self._bootstrap, self._topic, self._stopped = bootstrap, topic, threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(partition,)) for partition in self.written]

    def __enter__(self) -> "Trickle":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _write(self, partition: int) -> None:
        for _ in topics.written_one_by_one(self._bootstrap, self._topic, partition):
            self.written[partition].append(time.monotonic())
            if self._stopped.wait(0.05):
                return


@pytest.mark.usefixtures("all_brokers_up")
def test_a_sick_partition_stays_alone(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """One partition's changelog has no leader: the other's events are recorded all the while, and readiness names the sick one."""
    topic, group = names["KAFKA_TOPIC"], names["CONSUMER_GROUP"]
    stays = topics.coordinator(kafka.bootstrap, group)
    goes = 3 - stays  # the ids are 1 and 2
    topics.make(kafka.bootstrap, topic, 2)
    topics.make_on(kafka.bootstrap, f"{group}-events-changelog", [stays, goes], COMPACT)
    worker = start_worker(ROLE="consumer", RECORD_TIMEOUT_SECONDS=120).ready()

    def rows(partition: int) -> int:
        return int(worker.metric(f'labapp_rows{{partition="{partition}",topic="{topic}"}}') or 0)

    with Trickle(kafka.bootstrap, topic) as trickle:
        wait_for(lambda: rows(0) and rows(1), "both are recorded")
        processes.stop(kafka.lab, BROKER_OF[goes])
        stopped = time.monotonic()
        longest = 0.0

        def stalled() -> list[str]:
            nonlocal longest
            waiting, now = trickle.written[0][rows(0) :], time.monotonic()
            if waiting:
                longest = max(longest, now - max(waiting[0], stopped + FAIL_OVER_SECONDS * PATIENCE))
            return [reason for reason in worker.get("/health/ready").json["reasons"] if reason.startswith("Partition ")]

        [reason] = wait_for(stalled, "readiness names the sick one", 20)
        assert longest < 1 * PATIENCE, f"partition 0 stood still for {longest:.1f} s"
        assert re.fullmatch(r"Partition 1 is stalled: \d\d+ events wait, and none has been recorded for 10 s \(\w+\(\)\)\.", reason)
        assert len(trickle.written[1]) > rows(1) + 40
        processes.start(kafka.lab, BROKER_OF[goes], lambda text: None)

    counts = {partition: len(times) for partition, times in trickle.written.items()}
    wait_for(lambda: {0: rows(0), 1: rows(1)} == counts, f"all rows, {counts}")
    wait_for(lambda: worker.get("/health/ready").status == 200, "ready again")
    assert worker.process.poll() is None


def test_a_broker_that_freezes_while_a_worker_leaves(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """The worker that is left restores its rows once the broker answers, or ends by itself, so that it is started again."""
    first, second = start_worker(ROLE="consumer").ready(), start_worker(ROLE="consumer").ready()
    wait_for(lambda: [len(status(worker)["partitions"]) for worker in (first, second)] == [1, 1], "partitions split")
    frozen = BROKER_OF[3 - topics.coordinator(kafka.bootstrap, names["CONSUMER_GROUP"])]  # their ids are 1 and 2
    [pid] = [found.pid for found in processes.statuses(kafka.lab) if found.name == frozen and found.pid]

    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(2)  # the fault, as 15 s are, which is longer than the session
        second.process.send_signal(signal.SIGTERM)
        time.sleep(13)
    finally:
        os.kill(pid, signal.SIGCONT)

    def ready_or_ended() -> bool:
        try:
            ready = first.get("/health/ready").status == 200 and status(first)["partitions"] == [0, 1]
        except (OSError, HTTPException):  # it is just ending
            ready = False
        return ready or first.process.poll() is not None

    try:
        wait_for(ready_or_ended, "ready, or ended", 30)
    except AssertionError as exc:
        raise AssertionError(f"{exc}: {first.get('/health/ready')}\n{first.log}") from None
    if first.process.poll() is not None:
        assert first.process.returncode == 70, first.log
        first = start_worker(ROLE="consumer").ready()
        wait_for(lambda: status(first)["partitions"] == [0, 1], "it has both partitions")
