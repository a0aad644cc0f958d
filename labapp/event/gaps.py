"""Where the time went: how long the gaps between the stages of some rows took."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from labapp.event.row import stages_of
from labapp.event.stages import STAGES

# Below so many values the 99th percentile would only be the largest one, under a finer name.
P99_COUNT_MIN = 100


@dataclass(frozen=True)
class Gap:
    """The time between two stages, over the rows that have both. Null where there is none of it."""

    start: str
    end: str
    count: int
    p50_us: int | None
    p95_us: int | None
    p99_us: int | None
    max_us: int | None
    # How many are below 0, which two clocks that differ make of a short gap.
    below_0: int


@dataclass(frozen=True)
class Summary:
    window: int  # rows asked for
    count: int  # rows there were
    gaps: list[Gap]
    whole: Gap
    longest: str | None  # the gap with the largest p50, as "produced to appended"


def summary(rows: Iterable[bytes], window: int) -> Summary:
    stages = [stages_of(row) for row in rows]
    gaps = [_gap(stages, start, end) for start, end in pairwise(STAGES)]
    longest = max((gap for gap in gaps if gap.count), key=lambda gap: gap.p50_us or 0, default=None)
    whole = _gap(stages, STAGES[0], STAGES[-1])
    return Summary(window, len(stages), gaps, whole, f"{longest.start} to {longest.end}" if longest else None)


def _gap(rows: Sequence[dict[str, Any]], start: str, end: str) -> Gap:
    times = sorted(
        stages[f"{end}_us"] - stages[f"{start}_us"]
        for stages in rows
        if stages[f"{start}_us"] is not None and stages[f"{end}_us"] is not None
    )
    return Gap(
        start,
        end,
        len(times),
        percentile(times, 50),
        percentile(times, 95),
        percentile(times, 99) if len(times) >= P99_COUNT_MIN else None,
        times[-1] if times else None,
        sum(time < 0 for time in times),
    )


def percentile(ascending: Sequence[int], percent: int) -> int | None:
    """The smallest value that at least so many percent of the values do not exceed; None where there is no value."""
    return ascending[-(-len(ascending) * percent // 100) - 1] if ascending else None
