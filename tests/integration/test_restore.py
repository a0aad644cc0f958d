"""A table restored from a changelog that Kafka really has compacted."""

import itertools
from collections.abc import Callable

from tests import topics
from tests.conftest import Kafka
from tests.worker import Worker, wait_for

StartWorker = Callable[..., Worker]
ROWS_KEPT = 20
# Segments roll at the first append after 100 ms, and tombstones may go at the next cleaning.
COMPACTED_SOON = {"segment.ms": "100", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "0", "min.compaction.lag.ms": "0"}


def test_a_compacted_changelog_restores_exactly_the_rows(kafka: Kafka, names: dict[str, str], start_worker: StartWorker) -> None:
    """Rows that expired are gone together with their tombstones, rows that were written again moved; the restore finds what there was."""
    changelog = f"{names['CONSUMER_GROUP']}-events-changelog"
    topics.make(kafka.bootstrap, names["KAFKA_TOPIC"], 1)
    topics.make(kafka.bootstrap, changelog, 1, {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"} | COMPACTED_SOON)
    worker = start_worker(ROWS_KEPT=ROWS_KEPT).ready()
    numbers = itertools.count()

    def post_some() -> None:
        for _ in range(10):
            number = next(numbers)
            worker.post({"id": number}, key=f"event-{number}")
        worker.post({"id": number - 5}, key=f"event-{number - 5}")  # once more, so that compaction moves its row

    def compacted() -> bool:
        """Most of the offsets are gone, and of the tombstones all but those that the last posts made."""
        post_some()
        messages = topics.read(kafka.bootstrap, changelog)
        tombstones = sum(message.value is None for message in messages)
        written = messages[-1].offset + 1
        return written > 20 * ROWS_KEPT and len(messages) < written / 3 and tombstones < 3 * ROWS_KEPT

    wait_for(compacted, "the changelog is compacted", 60)
    last = next(numbers) - 1
    expected = [f"event-{number}" for number in range(last, last - ROWS_KEPT, -1)]
    wait_for(lambda: [row["key"] for row in worker.rows()] == expected, "all rows")
    rows = worker.rows()

    worker.kill()
    worker = start_worker(ROWS_KEPT=ROWS_KEPT).ready()

    assert worker.rows() == rows
    assert [row["offset"] for row in rows] == sorted((row["offset"] for row in rows), reverse=True)
