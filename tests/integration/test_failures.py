"""Brokers that die, starts that can't succeed, and what a client sees of it."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from labapp.lab import BROKERS, processes
from tests import topics
from tests.conftest import Kafka
from tests.worker import PATIENCE, Sender, Worker, free_port, wait_for

StartWorker = Callable[..., Worker]


def refused(worker: Worker) -> str:
    """The sentence with which a start ended; the log's other lines are the banner."""
    assert worker.process.wait(30 * PATIENCE) == 1
    assert "Traceback" not in worker.log
    return worker.log.strip().splitlines()[-1]


def test_a_topic_and_a_changelog_with_other_partition_counts(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """Faust would crash-loop and lose the event in hand; the start names both, and both counts."""
    topics.make(kafka.bootstrap, names["KAFKA_TOPIC"], 3)
    changelog = f"{names['CONSUMER_GROUP']}-events-changelog"
    topics.make(kafka.bootstrap, changelog, 2, {"cleanup.policy": "compact"})

    said = refused(start_worker())

    assert said.startswith(f"The topic {names['KAFKA_TOPIC']} has 3 partitions, but the table's changelog {changelog} has 2: ")


@pytest.mark.parametrize("policy", ["delete", "compact,delete"])
def test_a_changelog_that_would_lose_rows(kafka: Kafka, names: dict[str, str], start_worker: StartWorker, policy: str) -> None:
    """A topic that deletes by age is no changelog, also where it compacts too."""
    topics.make(kafka.bootstrap, f"{names['CONSUMER_GROUP']}-events-changelog", 2, {"cleanup.policy": policy})

    assert f"has cleanup.policy={policy}, but it needs compact" in refused(start_worker())


def test_an_existing_topic_is_used_as_it_is(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """With its partitions, and with the client's time, which leaves the stage null."""
    topics.make(kafka.bootstrap, names["KAFKA_TOPIC"], 3, {"message.timestamp.type": "CreateTime"})
    worker = start_worker().ready()

    sent = [worker.post({"id": number}).json for number in range(20)]
    rows = wait_for(lambda: len(rows := worker.rows()) == 20 and rows, "all rows")

    assert {answer["stages"]["appended_us"] for answer in sent} == {None}
    assert {row["stages"]["appended_us"] for row in rows} == {None}
    assert {row["partition"] for row in rows} == {0, 1, 2}


@pytest.mark.parametrize("role", ["all", "producer", "consumer"])
def test_no_broker(start_worker: StartWorker, role: str) -> None:
    """One sentence within the time that the setting says."""
    nobody = f"localhost:{free_port()}"

    said = refused(start_worker(ROLE=role, KAFKA_BOOTSTRAP_SERVERS=nobody, START_TIMEOUT_SECONDS=1))

    assert said == f"No Kafka broker answers at {nobody}: start one, or set KAFKA_BOOTSTRAP_SERVERS to where one is."


@pytest.mark.usefixtures("all_brokers_up")
def test_a_first_start_with_a_broker_down(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """Topics made now would have one copy for good: the start waits for the other broker, and then says what to do."""
    processes.stop(kafka.lab, "broker-2")

    said = refused(start_worker(START_TIMEOUT_SECONDS=2))
    assert "KAFKA_REPLICATION=1" in said
    assert names["KAFKA_TOPIC"] in said

    waiting = start_worker()
    processes.start(kafka.lab, "broker-2", lambda text: None)
    waiting.ready()
    assert topics.copies(kafka.bootstrap, names["KAFKA_TOPIC"]) == {2}


def test_a_port_in_use(start_worker: StartWorker) -> None:
    """One sentence that names the port."""
    first = start_worker(ROLE="producer").ready()

    assert refused(start_worker(ROLE="producer", PORT=first.port)).startswith(f"HTTP can't listen on 127.0.0.1:{first.port} ")


def test_the_first_bootstrap_address_is_dead(kafka: Kafka, start_worker: StartWorker) -> None:
    """The next one is used."""
    worker = start_worker(KAFKA_BOOTSTRAP_SERVERS=f"localhost:{free_port()},{kafka.bootstrap.split(',')[1]}").ready()

    key = worker.post({"id": 1}).json["key"]
    wait_for(lambda: worker.get(f"/events/{key}").status == 200, "the row")


@pytest.mark.usefixtures("all_brokers_up")
def test_either_broker_dies_under_load(kafka: Kafka, start_worker: StartWorker) -> None:
    """kill -9 of one, and of the other once the first is back: every event is acknowledged, has one row, and no POST waits over 10 s."""
    producer, consumer = start_worker(ROLE="producer").ready(), start_worker(ROLE="consumer").ready()
    keys, longest = set(), 0.0

    def send(seconds: float) -> None:
        nonlocal longest
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            answer = producer.post({"id": len(keys)})
            longest = max(longest, time.monotonic() - began)
            assert answer.status == 200
            keys.add(answer.json["key"])

    send(1)
    for broker in BROKERS:
        processes.kill(kafka.lab, broker)
        send(8)  # supervisor starts it again meanwhile
        processes.start(kafka.lab, broker, lambda text: None)
        send(2)

    wait_for(lambda: {row["key"] for row in consumer.rows()} == keys, "a row for each event", 40)
    assert longest < 10 * PATIENCE


@pytest.mark.usefixtures("all_brokers_up")
def test_all_brokers_away(kafka: Kafka, start_worker: StartWorker) -> None:
    """A POST is answered 503 in time, with Retry-After; readiness tells why; the same key sent again later shows once."""
    worker = start_worker(PRODUCE_TIMEOUT_SECONDS=2, POSTS_UNDER_WAY=2).ready()
    for broker in BROKERS:
        processes.stop(kafka.lab, broker)

    began = time.monotonic()
    answer = worker.post({"id": 1}, key="once")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert time.monotonic() - began < 5 * PATIENCE
    senders = [Sender(worker) for _ in range(3)]  # two wait for Kafka, which is all that this worker takes
    full = wait_for(lambda: (answer := worker.post({"id": 2})).json["error"].startswith("2 posts are under way") and answer, "full")
    assert (full.status, full.headers["Retry-After"]) == (503, "1")
    for sender in senders:
        sender.stop()
    assert worker.get("/health/live").status == 200
    ready = worker.get("/health/ready")
    assert (ready.status, ready.json["reasons"]) == (503, ["No Kafka broker answers."])

    for broker in BROKERS:
        processes.start(kafka.lab, broker, lambda text: None)
    wait_for(lambda: worker.post({"id": 1}, key="once").status == 200, "acknowledged", 40)
    rows = wait_for(lambda: worker.get("/health/ready").status == 200 and worker.rows(), "the row", 40)
    assert [row["key"] for row in rows] == ["once"]


def test_a_group_in_use_by_another_program(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """Kafka would refuse the join for ever; the start says so."""
    topics.make(kafka.bootstrap, names["KAFKA_TOPIC"], 2)
    with topics.member_of(kafka.bootstrap, names["CONSUMER_GROUP"], names["KAFKA_TOPIC"]):
        said = refused(start_worker(ROLE="consumer"))

    assert said.startswith(f"The group {names['CONSUMER_GROUP']} is in use by another program ")


@pytest.mark.parametrize("role", ["all", "producer"])
def test_a_stop_under_load(start_worker: StartWorker, role: str) -> None:
    """SIGTERM with posts on many connections: exit code 0 in under 5 s, and what was acknowledged has a row afterwards."""
    worker = start_worker(ROLE=role).ready()
    senders = [Sender(worker) for _ in range(8)]
    wait_for(lambda: sum(len(sender.acknowledged) for sender in senders) > 500, "500 events acknowledged")
    began = time.monotonic()
    code = worker.stop()
    took = time.monotonic() - began
    keys = set().union(*(sender.stop() for sender in senders))

    assert (code, took < 5 * PATIENCE) == (0, True), f"{code} after {took:.1f} s\n{worker.log}"
    assert "Traceback" not in worker.log
    worker = start_worker().ready()
    wait_for(lambda: {row["key"] for row in worker.rows()} >= keys, "a row for each acknowledged event")


def test_a_stop_beside_a_request_that_never_ends(start_worker: StartWorker) -> None:
    """A client that sends half a request and then nothing does not make the stop fail: exit code 0 in under 5 s."""
    worker = start_worker(ROLE="producer").ready()
    with socket.create_connection(("127.0.0.1", worker.port)) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        wait_for(lambda: worker.post({"id": 1}).status == 200, "another request answered, so that one has begun")
        began = time.monotonic()
        code = worker.stop()
        took = time.monotonic() - began

    assert (code, took < 5 * PATIENCE) == (0, True), f"{code} after {took:.1f} s\n{worker.log}"


@pytest.mark.usefixtures("all_brokers_up")
def test_a_stop_without_kafka(kafka: Kafka, start_worker: StartWorker) -> None:
    """It ends in time all the same."""
    worker = start_worker(STOP_TIMEOUT_SECONDS=3).ready()
    for broker in BROKERS:
        processes.stop(kafka.lab, broker)
    began = time.monotonic()
    worker.stop()

    assert time.monotonic() - began < 5 * PATIENCE


BROKEN_VIEW = """
import sys

class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "labapp.views.stages":
            raise ImportError("broken on purpose")

sys.meta_path.insert(0, Broken())
"""


def test_a_view_that_can_not_be_imported_ends_the_start(start_worker: StartWorker, tmp_path: Path) -> None:
    """With its traceback: a worker without the view would answer 404 to its address."""
    (tmp_path / "sitecustomize.py").write_text(BROKEN_VIEW)
    worker = start_worker(PYTHONPATH=tmp_path)

    assert worker.process.wait(30 * PATIENCE) != 0
    assert "ImportError: broken on purpose" in worker.log
