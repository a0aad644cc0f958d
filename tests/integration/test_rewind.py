"""`rewind` moves where a group goes on, and only while nobody is in it."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests import topics
from tests.secured import Secured
from tests.worker import Worker, run, wait_for

EVENTS = 5


@pytest.fixture
def settings(secured: Secured, names: dict[str, str]) -> dict[str, str]:
    return {**names, "KAFKA_BOOTSTRAP_SERVERS": secured.at("PLAINTEXT")}


@pytest.fixture
def worker(settings: dict[str, str]) -> Iterator[Worker]:
    """It has recorded and committed all events, and runs."""
    worker = Worker(**settings)
    try:
        worker.ready(60)
        for number in range(EVENTS):
            assert worker.post({"id": number}).status == 200
        wait_for(lambda: sum(committed(settings).values()) == EVENTS, "all committed")
        yield worker
    finally:
        worker.close()


def committed(settings: dict[str, str]) -> dict[int, int]:
    return topics.committed(settings["KAFKA_BOOTSTRAP_SERVERS"], settings["CONSUMER_GROUP"], settings["KAFKA_TOPIC"])


def test_a_group_is_rewound(worker: Worker, settings: dict[str, str]) -> None:
    """Not while it has members, only by word with --dry-run, and then every event comes once more."""
    at_the_end = committed(settings)
    refused = run("rewind", "--to", "beginning", **settings)
    assert refused.returncode == 1
    assert re.fullmatch(rf"The group {settings['CONSUMER_GROUP']} has 1 members \(\w+\): stop its workers first\.\n", refused.stderr)
    assert worker.stop() == 0

    tried = run("rewind", "--to", "beginning", "--dry-run", **settings)
    assert (tried.returncode, tried.stderr) == (0, "")
    assert tried.stdout.splitlines()[-1] == f"{EVENTS} events would be delivered again."
    assert committed(settings) == at_the_end

    done = run("rewind", "--to", "beginning", **settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        *(f"{settings['KAFKA_TOPIC']} {partition}: from {at_the_end.get(partition, 0)} to 0" for partition in (0, 1)),
        f"{EVENTS} events will be delivered again.",
    ]
    assert set(committed(settings).values()) == {0}

    again = Worker(**settings)
    try:
        again.ready(60)
        wait_for(lambda: [row["deliveries"] for row in again.rows()] == [2] * EVENTS, "every event delivered twice")
    finally:
        again.close()


def test_places_to_rewind_to(worker: Worker, settings: dict[str, str]) -> None:
    """An offset, a time, or the end; what lies outside becomes the nearest place there is."""
    at_the_end = committed(settings)
    assert worker.stop() == 0

    for place, said in {
        "1": f"{sum(max(0, offset - 1) for offset in at_the_end.values())} events will be delivered again.",
        "999": f"0 events will be delivered again, and {sum(max(0, offset - 1) for offset in at_the_end.values())} will be skipped.",
        "2026-01-01T00:00:00+00:00": f"{EVENTS} events will be delivered again.",
        datetime.now(UTC).isoformat(): f"0 events will be delivered again, and {EVENTS} will be skipped.",
    }.items():
        done = run("rewind", "--to", place, **settings)
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, said), (place, done)
    assert {partition: offset for partition, offset in committed(settings).items() if offset} == at_the_end

    refused = run("rewind", "--to", "yesterday", **settings)
    assert (refused.returncode, refused.stderr) == (
        1,
        "--to 'yesterday' can't be used: give beginning, end, an offset, or a time such as 2026-01-31T12:00:00Z.\n",
    )
