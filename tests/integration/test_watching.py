"""What a worker tells those who watch it: metrics, log lines, and whose trace an event belongs to."""

import json
import signal
import time
from collections.abc import Callable

from prometheus_client.parser import text_string_to_metric_families

from tests import topics
from tests.conftest import Kafka
from tests.worker import Worker, request, wait_for

TRACEPARENT = f"00-{'1' * 32}-{'2' * 16}-01"
JSON = {"Content-Type": "application/json"}
StartWorker = Callable[..., Worker]


def samples(worker: Worker) -> dict[tuple[str, ...], float]:
    """By name and the values of the labels."""
    families = text_string_to_metric_families(worker.get("/metrics").body.decode())
    return {(one.name, *(one.labels[name] for name in sorted(one.labels))): one.value for family in families for one in family.samples}


def test_metrics_of_what_happened(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """Posts by their answer, records by what became of them, gaps, and rows of the partitions owned."""
    worker = start_worker(KAFKA_PARTITIONS=1).ready()
    for key in ("a", "b", "a"):
        assert worker.post({"id": 1}, key).status == 200
    assert request(worker.port, "POST", "/", b"soon", JSON).status == 400
    topics.write(kafka.bootstrap, names["KAFKA_TOPIC"], [(None, b"soon")])

    found = wait_for(lambda: (now := samples(worker))["labapp_records_total", "dead_lettered"] == 1 and now, "the dead letter counted")

    topic = names["KAFKA_TOPIC"]
    assert found["labapp_posts_total", "acknowledged"] == 3
    assert found["labapp_posts_total", "refused"] == 1
    assert found["labapp_records_total", "recorded"] == 2
    assert found["labapp_records_total", "delivered_again"] == 1
    assert found["labapp_rows", "0", topic] == 2
    assert found["labapp_rows_bytes", "0", topic] > 400
    assert found["labapp_stage_gap_seconds_count", "produced", "received"] == 2
    assert found["labapp_requests_under_way",] == 1
    assert found["labapp_rebalances_total",] >= 1
    wait_for(lambda: samples(worker)["labapp_lag_records", "0", topic] == 0, "no lag")


def test_partitions_of_others_are_not_told(names: dict[str, str], start_worker: StartWorker) -> None:
    """After a rebalance a worker tells of what it still owns only."""
    first = start_worker().ready()
    assert len([name for name in samples(first) if name[0] == "labapp_since_progress_seconds"]) == 2

    second = start_worker().ready()

    def partitions(worker: Worker) -> set[str]:
        return {labels[0] for name, *labels in samples(worker) if name == "labapp_since_progress_seconds"}

    wait_for(lambda: len(partitions(first)) == len(partitions(second)) == 1, "one partition each")
    assert partitions(first) | partitions(second) == {"0", "1"}


def test_a_scrape_is_cheap(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """With 10,000 rows: the quickest of some takes less than 10 ms, HTTP included."""
    worker = start_worker(KAFKA_PARTITIONS=1).ready()
    topics.write(kafka.bootstrap, names["KAFKA_TOPIC"], [(b"%d" % n, b'{"id":1}') for n in range(10_000)], partition=0)
    wait_for(lambda: samples(worker)["labapp_rows", "0", names["KAFKA_TOPIC"]] == 10_000, "10,000 rows")

    def took() -> float:
        before = time.perf_counter()
        worker.get("/metrics")
        return time.perf_counter() - before

    assert min(took() for _ in range(20)) < 0.01


def test_traceparent_goes_with_the_event(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """Into the record's headers, if it is valid; and into the line about it in the log."""
    worker = start_worker(KAFKA_PARTITIONS=1).ready()
    for value in (TRACEPARENT, "soon"):
        assert request(worker.port, "POST", "/", b"{}", JSON | {"traceparent": value}).status == 200
    assert worker.post({}).status == 200

    headers = [dict(record.headers) for record in topics.read(kafka.bootstrap, names["KAFKA_TOPIC"])]
    assert [found.get("traceparent") for found in headers] == [TRACEPARENT.encode(), None, None]

    topics.write(kafka.bootstrap, names["KAFKA_TOPIC"], [(None, b"soon")], 0, [("traceparent", TRACEPARENT.encode())])
    line = wait_for(lambda: [line for line in worker.log.splitlines() if "dead letters sent" in line], "the line about it")[0]
    assert line.endswith(f"(traceparent {TRACEPARENT})")


def test_json_log_of_a_whole_life(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """Every line is a JSON object, from the start over a dead letter to the stop; no line is about an event that was recorded."""
    worker = start_worker(KAFKA_PARTITIONS=1, LOG_FORMAT="json").ready()
    before = len(worker.log.splitlines())
    keys = [worker.post({"id": number}).json["key"] for number in range(20)]
    wait_for(lambda: len(worker.rows()) == 20, "20 rows")
    # Faust and aiokafka may still say that they subscribe.
    since = [json.loads(line) for line in worker.log.splitlines()[before:]]
    assert not [line for line in since if line["logger"].startswith("labapp") or any(key in line["message"] for key in keys)]
    topics.write(kafka.bootstrap, names["KAFKA_TOPIC"], [(None, b"soon")], 0, [("traceparent", TRACEPARENT.encode())])
    wait_for(lambda: "dead letters sent" in worker.log, "the dead letter in the log")
    worker.process.send_signal(signal.SIGINT)
    worker.process.wait(20)

    lines = [json.loads(line) for line in worker.log.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert not any(mark in line["message"] for line in lines for mark in ("┌", "+--", "\n"))
    [warning] = [line for line in lines if line["level"] == "WARNING"]
    assert warning["traceparent"] == TRACEPARENT
    assert f"Starting consumer on topic {names['KAFKA_TOPIC']}" in "".join(line["message"] for line in lines)


def test_json_log_of_a_start_that_fails(start_worker: StartWorker) -> None:
    """The sentence that says why is the message of one line."""
    worker = start_worker(LOG_FORMAT="json", KAFKA_BOOTSTRAP_SERVERS="localhost:1", START_TIMEOUT_SECONDS=1)
    assert worker.process.wait(30) == 1

    lines = [json.loads(line) for line in worker.log.splitlines()]
    assert "KAFKA_BOOTSTRAP_SERVERS" in lines[-1]["message"]
