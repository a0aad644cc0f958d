"""Nothing on the topic stops the worker, holds up a partition, or vanishes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests import topics
from tests.conftest import Kafka
from tests.worker import Worker, wait_for

StartWorker = Callable[..., Worker]
BAD = [b"soon", None, b"", b"[1]", b"null", b"\xff\xfe", b'{"a":', b"[" * 3000, b'{"a":"\xff"}', b"x" * 900_000]
EACH = 5000  # good ones, and bad ones, of each partition


def test_bad_records_between_good_ones(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """Every good one has a row, every bad one is a dead letter, bytes and key untouched, in order, with where it came from and why."""
    worker = start_worker().ready()
    topic = names["KAFKA_TOPIC"]
    bad_keys = [None, b"key", b"\xff\xfe"]
    written: list[list[topics.Written]] = []
    for partition in (0, 1):
        records: list[topics.Written] = []
        for number in range(EACH):
            records.append((b"good-%d-%d" % (partition, number), b'{"id":%d}' % number))
            records.append((bad_keys[number % 3], BAD[number % (len(BAD) if number < 20 else len(BAD) - 1)]))
        topics.write(kafka.bootstrap, topic, records, partition)
        written.append(records)

    wait_for(lambda: sum(topics.committed(kafka.bootstrap, names["CONSUMER_GROUP"], topic).values()) == 4 * EACH, "all committed", 60)
    rows = worker.rows()
    dead = topics.read(kafka.bootstrap, names["DEAD_LETTER_TOPIC"])

    assert {row["key"] for row in rows} == {f"good-{partition}-{number}" for partition in (0, 1) for number in range(EACH)}
    for partition in (0, 1):
        expected = [(offset, *record) for offset, record in enumerate(written[partition]) if offset % 2]
        found = [record for record in dead if dict(record.headers)["partition"] == b"%d" % partition]
        assert [(int(dict(record.headers)["offset"]), record.key, record.value) for record in found] == expected
    assert all(dict(record.headers)["topic"] == topic.encode() for record in dead)
    assert all(dict(record.headers)["reason"].startswith(b"The ") for record in dead)
    assert all(dict(record.headers)["time"].endswith(b"+00:00") for record in dead)
    assert "Traceback" not in worker.log


def test_headers_of_a_dead_letter_are_kept(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """So that it can be sent again as it was."""
    worker = start_worker(DEAD_LETTER_TOPIC=names["DEAD_LETTER_TOPIC"]).ready()
    topics.write(kafka.bootstrap, names["KAFKA_TOPIC"], [(b"k", b"soon")], headers=[("received_us", b"7"), ("theirs", b"x")])

    [dead] = wait_for(lambda: topics.read(kafka.bootstrap, names["DEAD_LETTER_TOPIC"]), "the dead letter")

    assert dead.headers[:2] == (("received_us", b"7"), ("theirs", b"x"))
    assert worker.rows() == []


def resend(kafka: Kafka, names: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "labapp", "resend", *arguments],
        env={**os.environ, **names, "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap},
        cwd=Path(__file__).parent.parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )


def test_dead_letters_are_sent_again(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """Chosen ones, as they were, into the partition they came from; what can't be done is said and nothing sent."""
    start_worker().ready()
    topic, dlq = names["KAFKA_TOPIC"], names["DEAD_LETTER_TOPIC"]
    topics.write(kafka.bootstrap, topic, [(None, b"first"), (b"k", None), (None, None)], 1, [("theirs", b"x")])
    wait_for(lambda: len(topics.read(kafka.bootstrap, dlq)) == 3, "three dead letters")

    assert "would be sent again: 1:0, 1:1, 1:2." in resend(kafka, names, "--all", "--dry-run").stdout
    unknown = resend(kafka, names, "--place", "1:0", "--place", "0:9")
    assert (unknown.returncode, unknown.stderr) == (1, f"There is no dead letter at 0:9 of {dlq}.\n")
    assert resend(kafka, names).returncode == 1
    assert len(topics.read(kafka.bootstrap, topic)) == 3

    done = resend(kafka, names, "--place", "1:0", "--place", "1:2")

    assert (done.returncode, done.stdout) == (0, "2 dead letters sent again: 1:0, 1:2.\n")
    again = topics.read(kafka.bootstrap, topic)[3:]
    assert [(r.partition, r.key, r.value, r.headers) for r in again] == [
        (1, None, b"first", (("theirs", b"x"),)),
        (1, None, None, (("theirs", b"x"),)),
    ]
    wait_for(lambda: len(topics.read(kafka.bootstrap, dlq)) == 5, "dead letters once more")


def test_a_dead_letter_is_mended(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """With another value it is recorded, under its own key; a value is for one dead letter only."""
    worker = start_worker().ready()
    topic, dlq = names["KAFKA_TOPIC"], names["DEAD_LETTER_TOPIC"]
    topics.write(kafka.bootstrap, topic, [(b"k", b'{"id":')], 1, [("theirs", b"x")])
    wait_for(lambda: topics.read(kafka.bootstrap, dlq), "the dead letter")

    refused = resend(kafka, names, "--all", "--value", "{}")
    assert (refused.returncode, refused.stderr) == (1, "--value needs exactly one --place.\n")
    assert resend(kafka, names, "--place", "1:0", "--value", '{"id":1}').returncode == 0

    row = wait_for(lambda: worker.rows(), "the row")[0]
    assert (row["key"], row["partition"], row["offset"], row["value"]) == ("k", 1, 1, {"id": 1})
    assert topics.read(kafka.bootstrap, topic)[1].headers == (("theirs", b"x"),)
