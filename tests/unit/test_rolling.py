"""The figures of a rolling restart."""

from tests.faults.outcome import Acknowledged, Outcome
from tests.rolling.report import text
from tests.rolling.restart import Restart

SECOND_US = 1_000_000


def row(key: str, partition: int, at_us: int) -> dict:
    return {"key": key, "partition": partition, "offset": 0, "deliveries": 1, "value": {}, "stages": {"consumed_us": at_us}}


def test_stand_stills() -> None:
    """Of a partition, and of all of them together: those that fall into the time of a restart."""
    outcome = Outcome(
        posted={"a": {}, "b": {}, "c": {}},
        acknowledged={
            "a": Acknowledged(0, 0, 1 * SECOND_US),
            "b": Acknowledged(1, 0, 2 * SECOND_US),
            "c": Acknowledged(0, 1, 9 * SECOND_US),
        },
        rows=[row("a", 0, 1 * SECOND_US), row("b", 1, 4 * SECOND_US), row("c", 0, 9 * SECOND_US)],
    )
    restarts = [Restart("consumer", 0, 1.5, 2.5, 0, 10 * SECOND_US)]

    said = text(outcome, restarts, partitions=2)

    assert "missing 0, twice 0" in said
    assert "1 restarts of a consumer: exit codes [0], median 1.5 s" in said
    assert "posts in a partition, the longest of each restart: median 8.0 s" in said
    assert "rows in a partition, the longest of each restart: median 8.0 s" in said
    assert "all rows, the longest of each restart: median 5.0 s" in said
