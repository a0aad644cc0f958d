"""Every metric of `/metrics` by name, help and unit, and the counts of this worker since it started.

A count goes up once a batch or once a request, and the text is made when it is asked for. So an event costs almost nothing.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from labapp.event.row import Fresh, stages_of
from labapp.event.stages import STAGES

# At most so many new events of a write are measured, and each also counts for its neighbours. Measuring all 1,000 events of a full
# write would cost a quarter of the speed. 20 cost less than 1 %.
GAPS_A_WRITE = 20
# The first bound is 0, because two clocks that differ can make a short gap negative.
_BOUNDS_US = (0, 500, *(n * 10**power for power in range(3, 8) for n in (1, 2, 5)))


@dataclass
class _Gap:
    """How often the time between two stages lay at or below each bound, and above the one before it."""

    start: str
    end: str

    def __post_init__(self) -> None:
        self._keys = f"{self.start}_us", f"{self.end}_us"
        self.counts = [0] * (len(_BOUNDS_US) + 1)
        self.sum_us = 0

    def add(self, stages: Mapping[str, int | None], times: int) -> None:
        start_us, end_us = stages[self._keys[0]], stages[self._keys[1]]
        if start_us is not None and end_us is not None:
            self.counts[bisect_left(_BOUNDS_US, end_us - start_us)] += times
            self.sum_us += max(0, end_us - start_us) * times


class Counts:
    """The counts of a worker since its start."""

    def __init__(self) -> None:
        self.posts = {"acknowledged": 0, "refused": 0, "timed_out": 0, "failed": 0}
        self.records = {"recorded": 0, "key_reused": 0, "delivered_again": 0, "dead_lettered": 0}
        self.requests_under_way = 0
        self.gaps = [_Gap(start, end) for start, end in (*pairwise(STAGES), (STAGES[0], STAGES[-1]))]

    def count_recorded(self, count: int, rows: Mapping[str, bytes | None], fresh: Sequence[Fresh], dead: int, key_reused: int = 0) -> None:
        """Counts the `count` records of one write. `rows` are the table's rows after it, `fresh` the new events.

        `dead` records became dead letters. `key_reused` new events have a key of their own, because their record's key was in use.
        """
        self.records["recorded"] += len(fresh) - key_reused
        self.records["key_reused"] += key_reused
        self.records["dead_lettered"] += dead
        self.records["delivered_again"] += count - len(fresh) - dead
        step = -(-len(fresh) // GAPS_A_WRITE) or 1
        for first in range(0, len(fresh), step):
            if (row := rows.get(fresh[first][0])) is not None:  # else it expired in the same write
                self._count_gaps(row, min(step, len(fresh) - first))

    def _count_gaps(self, row: bytes, times: int) -> None:
        stages = stages_of(row)
        for gap in self.gaps:
            gap.add(stages, times)


COUNTS = Counts()


@dataclass(frozen=True)
class Partition:
    """The state of a partition that this worker owns now."""

    topic: str
    partition: int
    lag: int | None  # None: not known yet
    since_progress_seconds: float
    rows: int
    rows_bytes: int


@dataclass(frozen=True)
class GroupPartition:
    """The group's lag in a partition, whichever worker has it."""

    topic: str
    partition: int
    lag: int | None  # None, here and below: not known, so it is left out
    oldest_seconds: float | None


@dataclass(frozen=True)
class Group:
    members: int
    partitions: list[GroupPartition]


def families(
    counts: Counts, partitions: Iterable[Partition], rebalances: int, restore_offsets_left: int, group: Group | None
) -> Iterator[Metric]:
    yield _counter("labapp_posts", "Posted events, by their answer. timed_out: 503 without an acknowledgement.", counts.posts)
    yield _counter("labapp_records", "Consumed records, by what became of them. key_reused: the key was in use.", counts.records)
    gaps = HistogramMetricFamily(
        "labapp_stage_gap_seconds",
        f"Time between two stages of new events. {GAPS_A_WRITE} events of a write are measured, and each counts for its neighbours.",
        labels=("start", "end"),
    )
    for gap in counts.gaps:
        bounds = [*(f"{bound / 1e6:g}" for bound in _BOUNDS_US), "+Inf"]
        gaps.add_metric((gap.start, gap.end), list(zip(bounds, accumulate(gap.counts), strict=True)), gap.sum_us / 1e6)
    yield gaps
    yield CounterMetricFamily("labapp_rebalances", "Rebalances of the consumer group that this worker took part in.", rebalances)
    yield GaugeMetricFamily(
        "labapp_requests_under_way", "HTTP requests under way, streams and this one included.", counts.requests_under_way
    )
    yield GaugeMetricFamily(
        "labapp_restore_offsets_left", "Changelog offsets still to be read before this worker is ready.", restore_offsets_left
    )
    labels = ("topic", "partition")
    lag = GaugeMetricFamily("labapp_lag_records", "Records that wait to be recorded, by partition owned.", labels=labels)
    progress = GaugeMetricFamily(
        "labapp_since_progress_seconds", "Time since an offset was committed or no record waited, by partition owned.", labels=labels
    )
    rows = GaugeMetricFamily("labapp_rows", "Rows kept, by partition owned.", labels=labels)
    rows_bytes = GaugeMetricFamily("labapp_rows_bytes", "Bytes of the rows kept, by partition owned.", labels=labels)
    for partition in partitions:
        of = (partition.topic, str(partition.partition))
        if partition.lag is not None:
            lag.add_metric(of, partition.lag)
        progress.add_metric(of, partition.since_progress_seconds)
        rows.add_metric(of, partition.rows)
        rows_bytes.add_metric(of, partition.rows_bytes)
    yield from (lag, progress, rows, rows_bytes)
    if group is not None:
        yield from _group_families(group)


def _group_families(group: Group) -> Iterator[Metric]:
    labels = ("topic", "partition")
    yield GaugeMetricFamily("labapp_group_members", "Workers that are members of the consumer group.", group.members)
    lag = GaugeMetricFamily("labapp_group_lag_records", "Records that the group has still to record, as the brokers report.", labels=labels)
    oldest = GaugeMetricFamily("labapp_group_lag_seconds", "Age of the oldest record that waits; 0 if none waits.", labels=labels)
    for partition in group.partitions:
        of = (partition.topic, str(partition.partition))
        if partition.lag is not None:
            lag.add_metric(of, partition.lag)
        if partition.oldest_seconds is not None:
            oldest.add_metric(of, partition.oldest_seconds)
    yield from (lag, oldest)


def _counter(name: str, text: str, counts: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=("outcome",))
    for outcome, count in counts.items():
        family.add_metric((outcome,), count)
    return family
