"""When an event was recorded: durable, and the same whichever worker is asked."""

import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from labapp.event.stages import STAGES
from tests import topics
from tests.conftest import Kafka
from tests.worker import Worker, run, wait_for

StartWorker = Callable[..., Worker]
# The broker's clock counts whole milliseconds, and is this machine's, as the worker's is.
CLOCK_ERROR_US = 1000


def recorded(worker: Worker) -> dict[str, int | None]:
    return {row["key"]: row["stages"]["recorded_us"] for row in worker.rows()}


def test_recorded_is_the_same_after_a_kill_and_on_another_worker(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """It is the broker's time of the row's changelog message, which a restore reads too; and it is the end of the way."""
    count = 200
    worker = start_worker().ready()
    for number in range(count):
        worker.post({"id": number, "clicked": None})
    wait_for(lambda: len(worker.rows()) == count, "all rows")
    rows, first = worker.rows(), recorded(worker)

    messages = topics.read(kafka.bootstrap, f"{names['CONSUMER_GROUP']}-events-changelog")
    assert first == {message.key.decode(): message.timestamp * 1000 for message in messages}
    for row in rows:
        times_us = [row["stages"][f"{stage}_us"] for stage in STAGES[1:]]
        assert sum(end - start for start, end in pairwise(times_us)) == times_us[-1] - times_us[0]
        assert row["stages"]["consumed_us"] - CLOCK_ERROR_US <= row["stages"]["recorded_us"]

    worker.kill()
    worker = start_worker().ready()
    assert recorded(worker) == first
    other = start_worker(ROLE="consumer").ready()
    wait_for(lambda: len(other.get("/status").json["partitions"]) == 1, "a partition went to the other worker")
    assert recorded(worker) | recorded(other) == first
    assert len(recorded(other)) > 0

    worker.post({"id": 0, "clicked": None}, key=rows[0]["key"])
    whole = worker.get("/stages?window=1000").json["whole"]
    assert (whole["start"], whole["end"]) == ("clicked", "recorded")


def test_the_gaps_of_ten_thousand_events_are_their_whole(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """Each is consumed before it is recorded, within the clock's error; and what /stages says of the gaps adds up to the whole."""
    count = 10_000
    worker = start_worker(ROWS_KEPT=count).ready()
    for part in range(10):  # written together, each part takes a while to be recorded
        now = time.time_ns() // 1000
        headers = [("received_us", b"%d" % now), ("produced_us", b"%d" % now)]
        events = [(b"%d-%d" % (part, number), b'{"clicked": %d}' % (now // 1000)) for number in range(count // 10)]
        topics.write(kafka.bootstrap, names["KAFKA_TOPIC"], events, headers=headers)
    wait_for(lambda: worker.metric('labapp_records_total{outcome="recorded"}') == count, "all are recorded", 60)
    rows = worker.rows()

    complete = [row["stages"] for row in rows if None not in (row["stages"][f"{stage}_us"] for stage in STAGES)]
    assert len(complete) == count
    assert max(stages["consumed_us"] - stages["recorded_us"] for stages in complete) <= CLOCK_ERROR_US
    found = worker.get("/stages?window=1000").json
    newest = sorted(row["stages"]["recorded_us"] - row["stages"]["clicked_us"] for row in rows[:1000])
    assert found["slowest_1_percent"]["whole_us"] == sum(newest[-10:])
    for group in (found["slowest_1_percent"], found["middle_half"]):
        assert sum(gap["sum_us"] for gap in group["gaps"]) == group["whole_us"] > 0
        assert sum(gap["percent"] for gap in group["gaps"]) == pytest.approx(100)


def test_a_changelog_with_the_clients_time(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """*recorded* is then unknown rather than invented, and `check` says how to change that."""
    topics.make(kafka.bootstrap, names["KAFKA_TOPIC"], 1)
    changelog = f"{names['CONSUMER_GROUP']}-events-changelog"
    topics.make(kafka.bootstrap, changelog, 1, {"cleanup.policy": "compact"})
    worker = start_worker().ready()
    key = worker.post({"id": 1}).json["key"]

    wait_for(lambda: recorded(worker) == {key: None}, "the row, without the time")
    checked = run("check", KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap, **names)
    assert f"The topic {changelog} keeps the client's time, so recorded_us is null" in checked.stdout
    assert "message.timestamp.type=LogAppendTime" in checked.stdout
