"""What becomes of a topic beside new records: records deleted, transactions, the whole topic deleted and made anew."""

import time
from collections.abc import Callable
from http.client import HTTPException

from tests import topics
from tests.conftest import Kafka
from tests.worker import Worker, wait_for

StartWorker = Callable[..., Worker]


def numbered(start: int, count: int) -> list[topics.Written]:
    return [(b"k%d" % number, b'{"id":%d}' % number) for number in range(start, start + count)]


def ids(worker: Worker) -> set[int]:
    return {row["value"]["id"] for row in worker.rows()}


def ensure_nothing_waits(worker: Worker, topic: str) -> None:
    """The worker is ready within 10 s, and tells for 3 s on end that no record waits: its first fetch has been answered by then."""
    since = time.monotonic()

    def settled() -> bool:
        nonlocal since
        lags = [worker.metric(f'labapp_lag_records{{partition="{partition}",topic="{topic}"}}') for partition in (0, 1)]
        if lags != [0, 0] or worker.get("/health/ready").status != 200:
            since = time.monotonic()
        return time.monotonic() - since > 3

    worker.ready(10)
    wait_for(settled, "nothing waits", 10)


def test_the_last_offset_holds_no_record(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """All records of partition 0 are deleted, and partition 1 ends with an aborted transaction: nothing waits for a new group."""
    topic = names["KAFKA_TOPIC"]
    topics.make(kafka.bootstrap, topic, 2)
    topics.write(kafka.bootstrap, topic, numbered(0, 50), 0)
    topics.delete_records(kafka.bootstrap, topic, 0, 50)
    topics.write_transaction(kafka.bootstrap, topic, 1, numbered(50, 5), commit=True)
    topics.write_transaction(kafka.bootstrap, topic, 1, numbered(60, 5), commit=False)

    worker = start_worker(ROLE="consumer")
    ensure_nothing_waits(worker, topic)

    assert ids(worker) == set(range(50, 55))
    topics.write(kafka.bootstrap, topic, numbered(100, 1), 0)
    topics.write(kafka.bootstrap, topic, numbered(101, 1), 1)
    wait_for(lambda: ids(worker) == {*range(50, 55), 100, 101}, "new records recorded")


def test_an_aborted_transaction(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """Its records become no rows: for Kafka they never were."""
    topic = names["KAFKA_TOPIC"]
    topics.make(kafka.bootstrap, topic, 1)
    topics.write_transaction(kafka.bootstrap, topic, 0, numbered(0, 5), commit=False)
    worker = start_worker(ROLE="consumer").ready()
    topics.write_transaction(kafka.bootstrap, topic, 0, numbered(5, 5), commit=False)
    topics.write_transaction(kafka.bootstrap, topic, 0, numbered(10, 5), commit=True)

    wait_for(lambda: ids(worker) >= set(range(10, 15)), "the committed ones")
    assert ids(worker) == set(range(10, 15))


def shown_or_ended(worker: Worker, expected: set[int], topic: str) -> bool:
    """Whether these events have rows; False if the worker ended by itself, which takes an exit code and a sentence on the topic."""

    shown: set[int] = set()

    def outcome() -> str | None:
        nonlocal shown
        if worker.process.poll() is not None:
            return "ended"
        try:
            answer = worker.get("/events?limit=1000")
            shown = {row["value"]["id"] for row in answer.json["events"]} if answer.status == 200 else set()
            return "shown" if shown >= expected and worker.get("/health/ready").status == 200 else None
        except (OSError, HTTPException):  # not yet, or no longer
            return None

    try:
        if wait_for(outcome, f"events of the new {topic} shown, or the worker's end", 20) == "shown":
            return True
    except AssertionError as exc:
        raise AssertionError(f"{exc}; it shows {sorted(shown)}\n{worker.log}") from None
    said = worker.log.strip().splitlines()[-1]
    assert worker.process.returncode != 0, worker.log
    assert topic in said, worker.log
    assert said.endswith("."), worker.log
    return False


def test_a_topic_made_anew_while_the_worker_is_down(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """Its offsets begin at 0 again, below those of the rows kept: new events are shown, or the start is refused with a sentence."""
    topic = names["KAFKA_TOPIC"]
    topics.make(kafka.bootstrap, topic, 1)
    topics.write(kafka.bootstrap, topic, numbered(0, 40))
    worker = start_worker(ROWS_KEPT=20).ready()
    wait_for(lambda: ids(worker) == set(range(20, 40)), "the newest rows")
    assert worker.stop() == 0
    topics.remove(kafka.bootstrap, topic)

    topics.make(kafka.bootstrap, topic, 1)
    topics.write(kafka.bootstrap, topic, numbered(1000, 20))

    shown_or_ended(start_worker(ROWS_KEPT=20), set(range(1000, 1020)), topic)


def test_a_topic_made_anew_while_the_worker_runs(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """New events are shown, or the worker ends, and its next start shows them or is refused."""
    topic = names["KAFKA_TOPIC"]
    topics.make(kafka.bootstrap, topic, 1)
    topics.write(kafka.bootstrap, topic, numbered(0, 40))
    worker = start_worker(ROWS_KEPT=20).ready()
    wait_for(lambda: ids(worker) == set(range(20, 40)), "the newest rows")
    topics.remove(kafka.bootstrap, topic)

    topics.make(kafka.bootstrap, topic, 1)
    topics.write(kafka.bootstrap, topic, numbered(1000, 20))

    if not shown_or_ended(worker, set(range(1000, 1020)), topic):
        shown_or_ended(start_worker(ROWS_KEPT=20), set(range(1000, 1020)), topic)


def test_a_topic_made_anew_has_another_identity(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """`/cluster` tells it, so that a client knows that what it sent is gone with the old topic."""
    topic = names["KAFKA_TOPIC"]
    topics.make(kafka.bootstrap, topic, 1)
    worker = start_worker(ROLE="producer").ready()

    def identity() -> str | None:
        answer = worker.get("/cluster")
        found = answer.json["topics"] if answer.status == 200 else []
        return found[0]["id"] if found and found[0]["name"] == topic else None

    before = wait_for(identity, "the topic's identity")
    topics.write(kafka.bootstrap, topic, numbered(0, 1))
    assert wait_for(identity, "the topic's identity") == before
    topics.remove(kafka.bootstrap, topic)
    topics.make(kafka.bootstrap, topic, 1)

    wait_for(lambda: identity() not in (None, before), "another identity")
