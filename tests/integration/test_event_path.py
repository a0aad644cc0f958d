"""One event's way: POST, record, row; and what is refused."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest

from labapp.event.stages import STAGES
from tests import topics
from tests.conftest import Kafka
from tests.worker import Worker, request, wait_for

JSON = {"Content-Type": "application/json"}
StartWorker = Callable[..., Worker]


def row(worker: Worker, key: str) -> dict:
    return wait_for(lambda: (answer := worker.get(f"/events/{key}")).status == 200 and answer.json, f"row {key}")


def test_an_event_from_post_to_row(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """The answer, the record, and the row with all five stages, are as the contract says."""
    worker = start_worker().ready()
    assert f"Starting consumer on topic {names['KAFKA_TOPIC']}, in group {names['CONSUMER_GROUP']}" in worker.log
    before_us = time.time_ns() // 1000
    clicked_ms = before_us // 1000

    answer = worker.post({"id": 7, "clicked": clicked_ms, "deep": [{"a": None}]})

    assert answer.status == 200
    sent = answer.json
    assert list(sent) == ["key", "topic", "partition", "offset", "stages"]
    assert (sent["topic"], sent["offset"]) == (names["KAFKA_TOPIC"], 0)
    assert sent["stages"]["received_us"] <= sent["stages"]["produced_us"] <= sent["stages"]["acknowledged_us"]

    [record] = topics.read(kafka.bootstrap, names["KAFKA_TOPIC"])
    produced_us = sent["stages"]["produced_us"]
    produced = f"{datetime.fromtimestamp(produced_us // 1_000_000):%H:%M:%S}:{produced_us // 1000 % 1000:03}"
    assert record.key == sent["key"].encode()
    assert json.loads(record.value) == {"id": 7, "clicked": clicked_ms, "deep": [{"a": None}], "produced": produced}
    assert record.headers == (("received_us", b"%d" % sent["stages"]["received_us"]), ("produced_us", b"%d" % produced_us))
    assert record.timestamp_type == 1
    assert record.timestamp * 1000 == sent["stages"]["appended_us"]

    found = row(worker, sent["key"])
    assert list(found) == ["key", "topic", "partition", "offset", "deliveries", "value", "stages"]
    assert (found["partition"], found["offset"], found["deliveries"]) == (sent["partition"], 0, 1)
    assert found["value"] == json.loads(record.value)
    assert list(found["stages"]) == [f"{stage}_us" for stage in STAGES]
    assert before_us // 1000 * 1000 == found["stages"]["clicked_us"] <= found["stages"]["received_us"]
    assert found["stages"] == found["stages"] | {k: v for k, v in sent["stages"].items() if k != "acknowledged_us"}
    assert found["stages"]["consumed_us"] > found["stages"]["received_us"]


def test_faust_shows_the_table(start_worker: StartWorker, names: dict[str, str]) -> None:
    """The row is at Faust's own addresses too, and its router knows who has it."""
    worker = start_worker().ready()
    key = worker.post({"id": 1}).json["key"]
    found = row(worker, key)

    assert [table["name"] for table in worker.get("/table/").json] == ["events"]
    assert worker.get(f"/table/events/{key}/").json == found
    assert worker.get(f"/router/events/{key}/").json == f"http://127.0.0.1:{worker.port}"
    assert worker.get("/router/").json == {f"http://127.0.0.1:{worker.port}": {f"{names['CONSUMER_GROUP']}-events-changelog": [0, 1]}}
    assert worker.get("/table/events/no-such-key/").status == 404


def test_roles(start_worker: StartWorker, names: dict[str, str]) -> None:
    """A producer joins no group and has no rows; a consumer takes no events."""
    producer, consumer = start_worker(ROLE="producer").ready(), start_worker(ROLE="consumer").ready()

    assert producer.get("/ping").body == b"pong"
    assert consumer.get("/ping").body == f"pong:{names['CONSUMER_GROUP']}".encode()
    assert "Joined group" not in producer.log
    key = producer.post({"id": 1}).json["key"]
    assert row(consumer, key)["value"]["id"] == 1
    assert consumer.post({"id": 1}).status == 405
    assert (producer.get("/events").status, producer.get(f"/events/{key}").status) == (404, 404)
    assert isinstance(producer.get("/").json, list)


def test_each_event_is_handed_out_once(start_worker: StartWorker) -> None:
    """As the workshop's consumer did: `GET /` gives what was consumed since the last call, oldest first."""
    worker = start_worker(KAFKA_PARTITIONS=1).ready()
    for number in range(5):
        row(worker, worker.post({"id": number}).json["key"])

    events = worker.get("/", Accept="application/json").json

    assert [event["id"] for event in events] == [0, 1, 2, 3, 4]
    assert all(set(event) == {"id", "produced", "consumed"} for event in events)
    assert worker.get("/").json == []


def test_records_of_the_workshops_own_programs(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """Its producer's records, without header and key, are recorded; its consumer reads ours."""
    worker = start_worker().ready()
    value = {"id": 1, "clicked": f"{datetime.now():%H:%M:%S}:7", "produced": "09:00:00:001"}
    topics.write(kafka.bootstrap, names["KAFKA_TOPIC"], [(None, json.dumps(value).encode())])
    worker.post({"id": 2})

    rows = wait_for(lambda: len(found := worker.rows()) == 2 and found, "two rows")

    assert rows[1]["key"] == f"{names['KAFKA_TOPIC']}-{rows[1]['partition']}-0"
    assert rows[1]["value"] == value
    assert rows[1]["stages"]["clicked_us"] % 1_000_000 == 7000
    assert [json.loads(r.value.decode("utf-8"))["id"] for r in topics.read(kafka.bootstrap, names["KAFKA_TOPIC"])].count(2) == 1


def test_the_same_key_shows_once(start_worker: StartWorker) -> None:
    """Sent again, as a client does that got no answer: only the deliveries change."""
    worker = start_worker().ready()
    for _ in range(3):
        assert worker.post({"id": 0}, key="again & again/1").json["key"] == "again & again/1"

    found = wait_for(lambda: (rows := worker.rows()) and rows[0]["deliveries"] == 3 and rows, "three deliveries")

    assert len(found) == 1
    assert found[0]["value"]["id"] == 0
    assert worker.get("/events/again%20&%20again%2F1").json == found[0]


def test_pages_of_events(start_worker: StartWorker) -> None:
    """Newest first over all partitions, each once, while more come in."""
    worker = start_worker().ready()
    keys = [worker.post({"id": number}).json["key"] for number in range(25)]
    wait_for(lambda: len(worker.rows()) == 25, "25 rows")

    pages, cursor = [], ""
    while cursor is not None:
        page = worker.get(f"/events?limit=10{cursor and f'&before={cursor}'}").json
        pages.append([event["key"] for event in page["events"]])
        cursor = page["next"]
        worker.post({"id": "later"})

    assert [len(page) for page in pages] == [10, 10, 5]
    appended = [worker.get(f"/events/{key}").json["stages"]["appended_us"] for page in pages for key in page]
    assert appended == sorted(appended, reverse=True)
    assert sorted(key for page in pages for key in page) == sorted(keys)


@pytest.fixture(scope="module")
def producer(kafka: Kafka) -> Iterator[Worker]:
    worker = Worker(KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap, ROLE="producer", KAFKA_TOPIC="refusals", DEAD_LETTER_TOPIC="refusals-dlq",
                    PRODUCER_TOPICS="other-topic").ready()  # fmt: skip
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def consumer(kafka: Kafka, producer: Worker) -> Iterator[Worker]:
    worker = Worker(
        KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap,
        ROLE="consumer",
        KAFKA_TOPIC="refusals",
        CONSUMER_GROUP="refusals",
        DEAD_LETTER_TOPIC="refusals-dlq",
    ).ready()
    yield worker
    worker.close()


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (400, b"", JSON),
        (400, b"soon", JSON),
        (400, b"[1]", JSON),
        (400, b'"text"', JSON),
        (400, b"\xff\xfe", JSON),
        (400, b'{"id":1', JSON),
        (400, b"[" * 60_000, JSON),
        (400, b"{}", JSON | {"Idempotency-Key": ""}),
        (400, b"{}", JSON | {"Idempotency-Key": "x" * 129}),
        (400, b"{}", JSON | {"Idempotency-Key": "\xe4"}),
        (400, b'{"topic":"dlq"}', JSON),
        (400, b'{"topic":7}', JSON),
        (400, b'{"topic":["first-topic"]}', JSON),
        (413, b'{"a":"%s"}' % (b"x" * 70_000), JSON),
        (415, b"{}", {}),
        (415, b"{}", {"Content-Type": "text/plain"}),
        (415, b"a=1", {"Content-Type": "application/x-www-form-urlencoded"}),
    ],
)
def test_what_is_refused_gets_a_sentence(producer: Worker, status: int, body: bytes, headers: dict[str, str]) -> None:
    """With the status that says whose fault it is, and nothing in the log."""
    answer = request(producer.port, "POST", "/", body, headers)

    assert answer.status == status
    assert list(answer.json) == ["error"]
    assert answer.json["error"].endswith(".")
    assert "Traceback" not in producer.log


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/nothing", 404), ("DELETE", "/", 405), ("PUT", "/ping", 405), ("GET", "/events/%00", 404),
])  # fmt: skip
def test_other_refusals_are_json_too(producer: Worker, method: str, path: str, status: int) -> None:
    """An error has one shape everywhere."""
    answer = request(producer.port, method, path)

    assert (answer.status, list(answer.json)) == (status, ["error"])


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=99999999999999999999", "before=x", "before=", "before=1:2;3"])
def test_bad_queries(consumer: Worker, query: str) -> None:
    """400 and a sentence."""
    answer = consumer.get(f"/events?{query}")

    assert (answer.status, list(answer.json)) == (400, ["error"])


def test_another_topic_if_it_is_allowed(kafka: Kafka, producer: Worker) -> None:
    """The field `topic`, as in the workshop."""
    sent = producer.post({"id": 1, "topic": "other-topic"}).json

    assert sent["topic"] == "other-topic"
    assert json.loads(topics.read(kafka.bootstrap, "other-topic")[0].value)["topic"] == "other-topic"


@pytest.mark.parametrize(("origin", "allowed"), [
    ("http://localhost:3000", True), ("http://localhost:5000", True), ("http://localhost:3001", False), ("https://example.org", False),
])  # fmt: skip
def test_origins(producer: Worker, consumer: Worker, origin: str, allowed: bool) -> None:
    """A page of an allowed origin may call, from another it may not."""
    preflight = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,idempotency-key",
    }
    asked = request(producer.port, "OPTIONS", "/", None, preflight)
    answer = request(producer.port, "POST", "/", b'{"id":1}', JSON | {"Origin": origin})

    assert (asked.status == 200) == allowed
    assert (
        asked.headers.get("Access-Control-Allow-Origin")
        == answer.headers.get("Access-Control-Allow-Origin")
        == (origin if allowed else None)
    )
    for path in ("/", "/ping", "/events", "/health/ready"):
        assert consumer.get(path, Origin=origin).headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
