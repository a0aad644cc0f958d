"""Every metric of `/metrics` by name, help and unit, and the counts behind them: of this worker, since it started.

Counting costs next to nothing an event: a number goes up once a batch or request, and the text is made when it is asked for.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import orjson
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from labapp.event.row import STAGES, Fresh

posts = {"acknowledged": 0, "refused": 0, "timed_out": 0, "failed": 0}
records = {"recorded": 0, "delivered_again": 0, "dead_lettered": 0}
requests_under_way = 0

# Of the new events of a write no more than these are looked at, each of which then stands for its neighbours too. Of a full one, all
# 1,000 would cost a quarter of the speed, 20 cost less than 1 %.
GAPS_A_WRITE = 20
# 0: two clocks that differ may make that of a short gap, or less.
_BOUNDS_US = (0, 500, *(n * 10**power for power in range(3, 8) for n in (1, 2, 5)))


@dataclass
class _Gap:
    """How often the time between two stages lay at or below each bound, and above the one before it."""

    start: str
    end: str

    def __post_init__(self) -> None:
        self.keys = f"{self.start}_us", f"{self.end}_us"
        self.counts = [0] * (len(_BOUNDS_US) + 1)
        self.sum_us = 0


_gaps = [_Gap(start, end) for start, end in (*pairwise(STAGES), (STAGES[0], STAGES[-1]))]


def count_recorded(count: int, rows: Mapping[str, bytes | None], fresh: Sequence[Fresh], dead: int) -> None:
    """So many records were recorded together: `rows` is what they changed, `fresh` the new events, `dead` how many are dead letters."""
    records["recorded"] += len(fresh)
    records["dead_lettered"] += dead
    records["delivered_again"] += count - len(fresh) - dead
    every = -(-len(fresh) // GAPS_A_WRITE)
    for place in range(0, len(fresh), every or 1):
        if (row := rows[fresh[place][0]]) is not None:  # else it expired together with those that it came with
            _count_gaps(row, min(every, len(fresh) - place))


def _count_gaps(row: bytes, times: int) -> None:
    stages = orjson.loads(row[row.rindex(b',"stages":') + 10 : -1])  # the last field
    for gap in _gaps:
        start, end = gap.keys
        if stages[start] is not None and stages[end] is not None:
            gap_us = stages[end] - stages[start]
            gap.counts[bisect_left(_BOUNDS_US, gap_us)] += times
            gap.sum_us += max(0, gap_us) * times


@dataclass(frozen=True)
class Partition:
    """What there is to say of a partition that this worker owns now."""

    topic: str
    partition: int
    lag: int
    since_progress_seconds: float
    rows: int
    rows_bytes: int


def families(partitions: Iterable[Partition], rebalances: int) -> Iterator[Metric]:
    yield _counter("labapp_posts", "Events posted, by how that was answered: timed_out is 503 without an acknowledgement.", posts)
    yield _counter("labapp_records", "Records consumed, by what became of them.", records)
    gaps = HistogramMetricFamily(
        "labapp_stage_gap_seconds",
        f"Time between two stages of new events; {GAPS_A_WRITE} of a write are looked at, each standing for its neighbours.",
        labels=("start", "end"),
    )
    for gap in _gaps:
        bounds = [*(f"{bound / 1e6:g}" for bound in _BOUNDS_US), "+Inf"]
        gaps.add_metric((gap.start, gap.end), list(zip(bounds, accumulate(gap.counts), strict=True)), gap.sum_us / 1e6)
    yield gaps
    yield CounterMetricFamily("labapp_rebalances", "Rebalances of the consumer group that this worker took part in.", rebalances)
    yield GaugeMetricFamily("labapp_requests_under_way", "HTTP requests under way, streams and this one included.", requests_under_way)
    labels = ("topic", "partition")
    lag = GaugeMetricFamily("labapp_lag_records", "Records that wait to be recorded, of the partitions owned.", labels=labels)
    progress = GaugeMetricFamily(
        "labapp_since_progress_seconds", "Time since an offset was committed, or nothing waited, of the partitions owned.", labels=labels
    )
    rows = GaugeMetricFamily("labapp_rows", "Rows kept of the partitions owned.", labels=labels)
    rows_bytes = GaugeMetricFamily("labapp_rows_bytes", "And their bytes.", labels=labels)
    for partition in partitions:
        of = (partition.topic, str(partition.partition))
        lag.add_metric(of, partition.lag)
        progress.add_metric(of, partition.since_progress_seconds)
        rows.add_metric(of, partition.rows)
        rows_bytes.add_metric(of, partition.rows_bytes)
    yield from (lag, progress, rows, rows_bytes)


def _counter(name: str, text: str, counts: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=("outcome",))
    for outcome, count in counts.items():
        family.add_metric((outcome,), count)
    return family
