"""What a group of workers does together: stop and start, split and hand over, nothing lost and nothing twice."""

import signal
import time
from collections.abc import Callable

from tests import topics
from tests.conftest import Kafka
from tests.worker import PATIENCE, Sender, Worker, wait_for

StartWorker = Callable[..., Worker]


def rows_of(worker: Worker) -> dict[str, dict]:
    rows = worker.rows()
    assert len({row["key"] for row in rows}) == len(rows)
    return {row["key"]: row for row in rows}


def test_stop_the_consumer_send_four_start_it_again(start_worker: StartWorker) -> None:
    """The workshop's experiment: all four arrive, once."""
    producer, consumer = start_worker(ROLE="producer").ready(), start_worker(ROLE="consumer").ready()
    before = producer.post({"id": 0}).json["key"]
    wait_for(lambda: before in rows_of(consumer), "the first row")

    assert consumer.stop() == 0
    keys = {producer.post({"id": number}).json["key"] for number in range(1, 5)}
    consumer = start_worker(ROLE="consumer").ready()
    found = wait_for(lambda: (rows := rows_of(consumer)).keys() >= keys and rows, "the four rows")

    assert found.keys() == {before} | keys
    assert {row["deliveries"] for row in found.values()} == {1}
    assert sorted(event["id"] for event in consumer.get("/").json) == [1, 2, 3, 4]


def test_two_workers_split_the_partitions(start_worker: StartWorker) -> None:
    """Each has the rows of its own partition, and gives any row; when one leaves, the other has all."""
    producer = start_worker(ROLE="producer").ready()
    first = start_worker(ROLE="consumer").ready()
    keys = {producer.post({"id": number}).json["key"] for number in range(40)}
    wait_for(lambda: rows_of(first).keys() == keys, "all rows at the first")

    second = start_worker(ROLE="consumer").ready()
    wait_for(lambda: first.get("/health/ready").status == 200 and rows_of(first).keys() != keys, "partitions split")
    keys |= {producer.post({"id": number}).json["key"] for number in range(40)}
    wait_for(lambda: len(rows_of(first)) + len(rows_of(second)) == 80, "all rows at both")

    one, other = rows_of(first), rows_of(second)
    assert one.keys() | other.keys() == keys
    assert not one.keys() & other.keys()
    assert {row["partition"] for row in one.values()} != {row["partition"] for row in other.values()}
    for worker in (first, second):
        for key in keys:
            assert worker.get(f"/events/{key}").json == (one | other)[key]
        assert worker.get("/events/no-such-key").status == 404

    assert second.stop() == 0
    wait_for(lambda: first.get("/health/ready").status == 200 and rows_of(first).keys() == keys, "all rows at the one left")


def test_a_worker_beyond_the_partitions_waits_for_its_turn(start_worker: StartWorker) -> None:
    """Of three workers on two partitions one has none, is ready, gives any row, and takes over from one that is gone."""
    producer = start_worker(ROLE="producer").ready()
    workers = [start_worker(ROLE="consumer").ready() for _ in range(3)]
    keys = {producer.post({"id": number}).json["key"] for number in range(20)}

    def idle() -> list[Worker]:
        ready = [worker for worker in workers if worker.get("/health/ready").status == 200]
        return [worker for worker in ready if not worker.rows()] if len(ready) == 3 else []

    wait_for(lambda: len(idle()) == 1 and sum(len(worker.rows()) for worker in workers) == 20, "two share the rows, one has none")
    [spare] = idle()
    assert {spare.get(f"/events/{key}").status for key in keys} == {200}

    gone = next(worker for worker in workers if worker is not spare)
    gone.kill()
    left = [worker for worker in workers if worker is not gone]
    wait_for(lambda: all(worker.get("/health/ready").status == 200 and worker.rows() for worker in left), "taken over", 40)
    assert {key for worker in left for key in rows_of(worker)} == keys


def test_any_worker_finds_a_row_wherever_another_producer_put_it(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """Other programs hash keys in their own way, or leave them out."""
    first = start_worker(ROLE="consumer").ready()
    second = start_worker(ROLE="consumer").ready()
    wait_for(lambda: first.get("/health/ready").status == 200, "first ready again")
    for partition in (0, 1):
        topics.write(kafka.bootstrap, names["KAFKA_TOPIC"], [(b"k%d-%d" % (partition, n), b"{}") for n in range(10)], partition)
        topics.write(kafka.bootstrap, names["KAFKA_TOPIC"], [(None, b"{}")], partition)
    wait_for(lambda: len(first.rows()) + len(second.rows()) == 22, "all rows")

    keys = [f"k{p}-{n}" for p in (0, 1) for n in range(10)] + [f"{names['KAFKA_TOPIC']}-{p}-10" for p in (0, 1)]
    assert {worker.get(f"/events/{key}").status for key in keys for worker in (first, second)} == {200}


def test_a_second_group_gets_everything_too(start_worker: StartWorker, names: dict[str, str]) -> None:
    """Fan-out: each group has its own offsets and its own table."""
    producer = start_worker(ROLE="producer").ready()
    keys = {producer.post({"id": number}).json["key"] for number in range(10)}
    first = start_worker(ROLE="consumer").ready()
    second = start_worker(ROLE="consumer", CONSUMER_GROUP=f"{names['CONSUMER_GROUP']}-second").ready()

    for worker in (first, second):
        wait_for(lambda worker=worker: rows_of(worker).keys() == keys, "all rows")


def test_a_consumer_killed_while_events_come_in(start_worker: StartWorker) -> None:
    """kill -9: after its return every acknowledged event has one row."""
    producer, consumer = start_worker(ROLE="producer").ready(), start_worker(ROLE="consumer").ready()
    sender = Sender(producer)
    sender.wait_for(100)
    consumer.kill()
    sender.wait_for(200)
    keys = sender.stop()
    consumer = start_worker(ROLE="consumer").ready()

    wait_for(lambda: rows_of(consumer).keys() >= keys, "a row for each acknowledged event")


def test_a_consumer_stopped_with_events_in_hand(start_worker: StartWorker) -> None:
    """SIGTERM: it ends in time with exit code 0, and what it had in hand is recorded by the next."""
    producer, consumer = start_worker(ROLE="producer").ready(), start_worker(ROLE="consumer").ready()
    sender = Sender(producer)
    sender.wait_for(100)
    began = time.monotonic()
    assert consumer.stop() == 0
    assert time.monotonic() - began < 5 * PATIENCE
    assert "Traceback" not in consumer.log
    sender.wait_for(200)
    keys = sender.stop()
    consumer = start_worker(ROLE="consumer").ready()

    wait_for(lambda: rows_of(consumer).keys() >= keys, "a row for each acknowledged event")


def test_a_worker_taken_for_dead_shows_no_row_of_others(start_worker: StartWorker) -> None:
    """SIGSTOP longer than the session: the other takes over, and on return they split again, nothing lost, nothing twice."""
    producer = start_worker(ROLE="producer").ready()
    first, second = start_worker(ROLE="consumer").ready(), start_worker(ROLE="consumer").ready()
    sender = Sender(producer)
    sender.wait_for(50)
    first.process.send_signal(signal.SIGSTOP)
    wait_for(lambda: second.get("/health/ready").status == 200 and len({row["partition"] for row in second.rows()}) == 2, "taken over", 40)
    first.process.send_signal(signal.SIGCONT)
    sender.wait_for(len(sender.acknowledged) + 50)
    keys = sender.stop()

    def settled() -> bool:
        both = [worker for worker in (first, second) if worker.get("/health/ready").status == 200]
        found = [set(rows_of(worker)) for worker in both]
        return len(both) == 2 and all(found) and not found[0] & found[1] and found[0] | found[1] >= keys

    wait_for(settled, "split again with all rows", 40)


def test_restarts_by_kill_while_events_wait(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """Killed again and again, recovery included: no hole, no commit that does not move."""
    topic, group = names["KAFKA_TOPIC"], names["CONSUMER_GROUP"]
    consumer = start_worker(ROLE="consumer", ROWS_KEPT=100_000).ready()
    topics.write(kafka.bootstrap, topic, [(b"early-%d" % number, b"{}") for number in range(100)])
    wait_for(lambda: consumer.rows(), "something to restore")
    sent = 0
    for mark in ("Worker ready", "Executing _on_partitions_assigned", "Restoring state", "Restore complete", "Worker ready"):
        consumer.kill()
        topics.write(kafka.bootstrap, topic, [(b"k%d" % number, b'{"id":%d}' % number) for number in range(sent, sent + 4000)])
        sent += 4000
        consumer = start_worker(ROLE="consumer", ROWS_KEPT=100_000)
        wait_for(lambda mark=mark, consumer=consumer: mark in consumer.log, mark, 40)
    consumer.ready(40)

    wait_for(lambda: sum(topics.committed(kafka.bootstrap, group, topic).values()) == sent + 100, "all committed")
    assert rows_of(consumer).keys() == {f"k{number}" for number in range(sent)} | {f"early-{number}" for number in range(100)}
    assert "reading again" not in consumer.log


def test_the_whole_topic_replayed_without_the_changelog(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """The table can be made anew from the source: the same rows, by a group that starts at offset 0."""
    topic = names["KAFKA_TOPIC"]
    consumer = start_worker(ROLE="consumer", ROWS_KEPT=500).ready()
    topics.write(kafka.bootstrap, topic, [(b"k%d" % (number % 3000), b'{"id":%d}' % number) for number in range(5000)])
    wait_for(lambda: sum(topics.committed(kafka.bootstrap, names["CONSUMER_GROUP"], topic).values()) == 5000, "all committed")
    before = {key: (row["offset"], row["value"]) for key, row in rows_of(consumer).items()}
    assert consumer.stop() == 0

    replayed = start_worker(ROLE="consumer", ROWS_KEPT=500, CONSUMER_GROUP=f"{names['CONSUMER_GROUP']}-replay").ready()
    wait_for(lambda: sum(topics.committed(kafka.bootstrap, f"{names['CONSUMER_GROUP']}-replay", topic).values()) == 5000, "all committed")

    assert {key: (row["offset"], row["value"]) for key, row in rows_of(replayed).items()} == before
    assert len(before) == 1000
