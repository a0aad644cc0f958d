"""Where the time went: how long the gaps between the stages of some rows took."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from labapp.event.row import stages_of
from labapp.event.stages import STAGES

# With fewer values, the 99th percentile would only be the largest value.
P99_COUNT_MIN = 100


@dataclass(frozen=True)
class Gap:
    """The time between two stages, over the rows that have both. A figure is null if too few rows have both."""

    start: str
    end: str
    count: int
    p50_us: int | None
    p95_us: int | None
    p99_us: int | None
    max_us: int | None
    # How many are below 0. Two clocks that differ can make a short gap negative.
    below_0: int


@dataclass(frozen=True)
class Share:
    """The time that some events together spent in one gap."""

    start: str
    end: str
    sum_us: int
    percent: float | None  # of their whole; negative if clocks differ; None if the whole is 0 or less


@dataclass(frozen=True)
class Shares:
    """In which gaps some events spent their time. The sums add up to `whole_us`, and the percentages to 100."""

    count: int
    whole_us: int  # of all these events together
    gaps: list[Share]


@dataclass(frozen=True)
class Summary:
    window: int  # rows asked for
    count: int  # rows there were
    gaps: list[Gap]
    whole: Gap
    longest: str | None  # the gap with the largest p50, as "produced to appended"
    # Only of events with all stages: the 1 % with the largest whole, at least one event.
    slowest_1_percent: Shares
    middle_half: Shares  # the events whose whole is between p25 and p75


def summary(rows: Iterable[bytes], window: int) -> Summary:
    stages = [stages_of(row) for row in rows]
    gaps = [_gap(stages, start, end) for start, end in pairwise(STAGES)]
    longest = max((gap for gap in gaps if gap.count), key=lambda gap: gap.p50_us or 0, default=None)
    whole = _gap(stages, STAGES[0], STAGES[-1])
    complete = sorted(_complete(stages), key=_whole_us)
    slowest = complete[len(complete) - -(-len(complete) // 100) :]
    middle = _between(complete, 25, 75)
    return Summary(
        window, len(stages), gaps, whole, f"{longest.start} to {longest.end}" if longest else None, _shares(slowest), _shares(middle)
    )


def _complete(rows: Iterable[dict[str, int | None]]) -> Iterator[list[int]]:
    """The times of all stages of each row that has them all."""
    for stages in rows:
        times = [time_us for stage in STAGES if (time_us := stages[f"{stage}_us"]) is not None]
        if len(times) == len(STAGES):
            yield times


def _between(ascending: Sequence[list[int]], low: int, high: int) -> list[list[int]]:
    """The events whose whole is between two percentiles."""
    wholes = [_whole_us(times) for times in ascending]
    low_us, high_us = percentile(wholes, low) or 0, percentile(wholes, high) or 0
    return [times for times, whole_us in zip(ascending, wholes, strict=True) if low_us <= whole_us <= high_us]


def _whole_us(times_us: Sequence[int]) -> int:
    return times_us[-1] - times_us[0]


def _shares(events: Sequence[Sequence[int]]) -> Shares:
    """`events` are the times of all stages of each event."""
    whole_us = sum(map(_whole_us, events))
    gaps = []
    for index, (start, end) in enumerate(pairwise(STAGES)):
        sum_us = sum(times[index + 1] - times[index] for times in events)
        gaps.append(Share(start, end, sum_us, 100 * sum_us / whole_us if whole_us > 0 else None))
    return Shares(len(events), whole_us, gaps)


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
    """The smallest value that is no less than `percent` percent of the values; None if there is no value."""
    return ascending[-(-len(ascending) * percent // 100) - 1] if ascending else None
