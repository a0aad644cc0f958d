"""Which record is which event: a key in use again is an event of its own, unless it is the same request or record once more."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tests import topics
from tests.conftest import Kafka
from tests.worker import Worker, run, wait_for

StartWorker = Callable[..., Worker]
KEY_REUSED = 'labapp_records_total{outcome="key_reused"}'


def by_key(worker: Worker, count: int) -> dict[str, dict[str, Any]]:
    """All rows by key, once there are so many."""
    with suppress(AssertionError):
        wait_for(lambda: len(worker.rows()) >= count, f"{count} rows", 10)
    found = worker.rows()
    assert len(found) == len({row["key"] for row in found}) == count, f"{len(found)} rows"
    return {row["key"]: row for row in found}


def without_deliveries(rows: dict[str, dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    return {key: (row.get("record_key"), row["partition"], row["offset"], row["value"]) for key, row in rows.items()}


def test_a_topic_keyed_by_customer(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """1,000 records with 10 keys are 1,000 events, after a kill, a rewind and the loss of the changelog too."""
    topic, group, count = names["KAFKA_TOPIC"], names["CONSUMER_GROUP"], 1000
    worker = start_worker(ROLE="consumer").ready()
    topics.write(kafka.bootstrap, topic, [(b"customer-%d" % (n % 10), b'{"id":%d}' % n) for n in range(count)])

    rows = by_key(worker, count)

    assert {row["value"]["id"] for row in rows.values()} == set(range(count))
    assert {row["deliveries"] for row in rows.values()} == {1}
    first = {f"customer-{n}" for n in range(10)}
    for key, row in rows.items():
        if key in first:
            assert "record_key" not in row
            assert row["value"]["id"] < 10
        else:
            assert key == f"{topic}-{row['partition']}-{row['offset']}"
            assert row["record_key"] == f"customer-{row['value']['id'] % 10}"
    assert worker.metric(KEY_REUSED) == count - 10
    other = next(row for key, row in rows.items() if key not in first)
    assert worker.get(f"/events/{other['key']}").json == other

    wait_for(lambda: sum(topics.committed(kafka.bootstrap, group, topic).values()) == count, "all committed")
    worker.kill()
    worker = start_worker(ROLE="consumer").ready()
    assert by_key(worker, count) == rows

    assert worker.stop() == 0
    assert run("rewind", "--to", "beginning", KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap, **names).returncode == 0
    worker = start_worker(ROLE="consumer").ready()
    wait_for(lambda: {row["deliveries"] for row in worker.rows()} == {2}, "each delivered twice")
    assert without_deliveries(by_key(worker, count)) == without_deliveries(rows)

    assert worker.stop() == 0
    topics.remove(kafka.bootstrap, f"{group}-events-changelog")
    assert run("rewind", "--to", "beginning", KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap, **names).returncode == 0
    emptied = start_worker(ROLE="consumer").ready()
    new_group = start_worker(ROLE="consumer", CONSUMER_GROUP=f"{group}-new").ready()
    for worker in (emptied, new_group):
        assert without_deliveries(by_key(worker, count)) == without_deliveries(rows)


def test_a_request_sent_again_and_another_under_its_key(start_worker: StartWorker) -> None:
    """The same key and body count a delivery; another body under the same key is an event, shown by its place, and found there."""
    worker = start_worker(KAFKA_PARTITIONS=1).ready()
    for number in (1, 1, 2):
        sent = worker.post({"id": number}, key="once").json
    place = f"{sent['topic']}-{sent['partition']}-{sent['offset']}"

    rows = by_key(worker, 2)

    assert rows.keys() == {"once", place}
    assert (rows["once"]["value"]["id"], rows["once"]["deliveries"], rows["once"]["offset"]) == (1, 2, 0)
    assert "record_key" not in rows["once"]
    assert (rows[place]["value"]["id"], rows[place]["deliveries"], rows[place]["offset"]) == (2, 1, 2)
    assert rows[place]["record_key"] == "once"
    assert worker.get(f"/events/{place}").json == rows[place]
    assert worker.get("/events/once").json == rows["once"]
    assert [event["id"] for event in worker.get("/").json] == [1, 2]
    assert worker.metric(KEY_REUSED) == 1

    worker.kill()
    worker = start_worker(KAFKA_PARTITIONS=1).ready()
    assert worker.post({"id": 1}, key="once").status == 200
    wait_for(lambda: worker.get("/events/once").json["deliveries"] >= 3, "the request once more, after a restart")
    assert by_key(worker, 2).keys() == {"once", place}
