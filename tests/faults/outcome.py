"""What was sent and what was found: pure."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Acknowledged:
    partition: int
    offset: int
    at_us: int


@dataclass
class Outcome:
    posted: dict[str, dict[str, Any]] = field(default_factory=dict)  # by key, acknowledged or not
    acknowledged: dict[str, Acknowledged] = field(default_factory=dict)
    refusals: Counter[str] = field(default_factory=Counter)  # posts that were not acknowledged, by what came instead
    rows: list[dict[str, Any]] = field(default_factory=list)
    faults: list[tuple[str, int]] = field(default_factory=list)  # of each step: what, since when in microseconds
    until_us: int = 0
    limbo: dict[str, str] = field(default_factory=dict)  # what is not ready at the end (a worker, Kafka, or the group), and why

    @property
    def refused(self) -> int:
        return self.refusals.total()

    @property
    def missing(self) -> set[str]:
        """Keys that were acknowledged and have no row."""
        return self.acknowledged.keys() - {row["key"] for row in self.rows}

    @property
    def twice(self) -> int:
        """Rows beyond the first of each key."""
        return len(self.rows) - len({row["key"] for row in self.rows})

    @property
    def wrong(self) -> set[str]:
        """Keys whose row has another value than the one posted."""
        return {row["key"] for row in self.rows if not self._is_right(row)}

    @property
    def failed(self) -> bool:
        return bool(self.missing or self.twice or self.wrong or self.limbo or not self.acknowledged)

    def _is_right(self, row: dict[str, Any]) -> bool:
        value = {name: value for name, value in row["value"].items() if name != "produced"}
        if value != self.posted.get(row["key"]):
            return False
        # The producer may append an event twice. The row is of the first record, and the acknowledgement may be of the second.
        answer = self.acknowledged.get(row["key"])
        return answer is None or (row["partition"] == answer.partition and row["offset"] <= answer.offset)
