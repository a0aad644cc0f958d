"""What is counted, and that Prometheus and the dashboard understand it."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from labapp.consume.changes import Changes, changes_of
from labapp.event.row import recorded_at
from labapp.event.rows import Rows
from labapp.event.stages import STAGES
from labapp.observe import metrics
from tests.unit.records import ARRIVAL_US, Record

PARTITION = metrics.Partition("first-topic", 1, lag=3, since_progress_seconds=0.5, rows=10, rows_bytes=3000)
GROUP = metrics.Group(2, [metrics.GroupPartition("first-topic", 1, lag=4, oldest_seconds=1.5)])
DASHBOARD = Path(__file__).parents[3] / "docs" / "grafana-dashboard.json"


class _Worker(Collector):
    def collect(self):
        return metrics.families(metrics.COUNTS, [PARTITION], rebalances=2, restore_offsets_left=7, group=GROUP)


def scraped() -> dict[tuple[str, tuple[str, ...]], float]:
    registry = CollectorRegistry()
    registry.register(_Worker())
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {(sample.name, tuple(sorted(sample.labels.values()))): sample.value for family in families for sample in family.samples}


def changed(before: dict, name: str) -> dict[tuple[str, ...], float]:
    return {
        labels: value - before.get((of, labels), 0)
        for (of, labels), value in scraped().items()
        if of == name and value != before.get((of, labels), 0)
    }


def written(changes: Changes) -> dict[str, bytes | None]:
    """The rows as the table has them, once they are acknowledged."""
    return {key: row and recorded_at((ARRIVAL_US + 9000) // 1000, 1)(row) for key, row in changes.rows.items()}


def record(offset: int, produced_us: int) -> Record:
    headers = (("received_us", b"%d" % ARRIVAL_US), ("produced_us", b"%d" % produced_us))
    return Record(key=b"key-%d" % offset, offset=offset, headers=headers)


def test_prometheus_accepts_it() -> None:
    """Every name begins with ours, and what is said of a partition is there."""
    samples = scraped()

    assert all(name.startswith("labapp_") for name, _ in samples)
    assert samples["labapp_lag_records", ("1", "first-topic")] == 3
    assert samples["labapp_since_progress_seconds", ("1", "first-topic")] == 0.5
    assert samples["labapp_rows", ("1", "first-topic")] == 10
    assert samples["labapp_rows_bytes", ("1", "first-topic")] == 3000
    assert samples["labapp_rebalances_total", ()] == 2
    assert samples["labapp_restore_offsets_left", ()] == 7
    assert samples["labapp_group_members", ()] == 2
    assert samples["labapp_group_lag_records", ("1", "first-topic")] == 4
    assert samples["labapp_group_lag_seconds", ("1", "first-topic")] == 1.5


@pytest.mark.parametrize("size", [1, 7, 20, 21, 999, 1000])
def test_a_batch_is_counted(size: int) -> None:
    """Each record once, and the gaps of as many events as were new, though not all were looked at."""
    before = scraped()
    batch = [record(offset, ARRIVAL_US + 300) for offset in range(size)]
    changes = changes_of([(batch, ARRIVAL_US + 5000)], Rows())

    metrics.COUNTS.count_recorded(size, written(changes), changes.fresh, dead=0)

    assert changed(before, "labapp_records_total") == {("recorded",): size}
    assert changed(before, "labapp_stage_gap_seconds_count") == {("produced", "received"): size, **{
        tuple(sorted(STAGES[n : n + 2])): size for n in (2, 3, 4)
    }}  # fmt: skip
    gap = changed(before, "labapp_stage_gap_seconds_sum")
    assert gap["produced", "received"] == pytest.approx(size * 0.0003)


def test_again_and_dead_are_not_new() -> None:
    """They have their own count, and no gap."""
    rows = Rows()
    rows.apply(changes_of([([record(0, ARRIVAL_US)], ARRIVAL_US)], rows).rows.items())
    batch = [record(0, ARRIVAL_US), Record(value=b"soon", offset=2)]
    changes = changes_of([(batch, ARRIVAL_US)], rows)
    before = scraped()

    metrics.COUNTS.count_recorded(2, written(changes), changes.fresh, len(changes.dead_letters))

    assert changed(before, "labapp_records_total") == {("delivered_again",): 1, ("dead_lettered",): 1}
    assert changed(before, "labapp_stage_gap_seconds_count") == {}


def test_new_and_again_at_once_is_new_once() -> None:
    """A key that comes twice in what is recorded together: one event with its gaps, and one delivery more."""
    before = scraped()
    batch = [record(0, ARRIVAL_US + 300), replace(record(0, ARRIVAL_US + 300), offset=1)]
    changes = changes_of([(batch, ARRIVAL_US + 5000)], Rows())

    metrics.COUNTS.count_recorded(2, written(changes), changes.fresh, dead=0)

    assert changed(before, "labapp_records_total") == {("recorded",): 1, ("delivered_again",): 1}
    assert changed(before, "labapp_stage_gap_seconds_count")["produced", "received"] == 1


def test_a_key_in_use_is_counted() -> None:
    """It is a new event all the same."""
    before = scraped()
    changes = changes_of([([Record(offset=0), Record(offset=1), Record(offset=2)], ARRIVAL_US)], Rows())

    metrics.COUNTS.count_recorded(3, written(changes), changes.fresh, 0, changes.key_reused)

    assert changed(before, "labapp_records_total") == {("recorded",): 1, ("key_reused",): 2}


def test_a_gap_below_0_does_not_make_a_sum_smaller() -> None:
    """Clocks that differ: it counts as 0."""
    before = scraped()
    changes = changes_of([([record(0, ARRIVAL_US - 300)], ARRIVAL_US + 5000)], Rows())
    metrics.COUNTS.count_recorded(1, written(changes), changes.fresh, 0)

    assert ("produced", "received") not in changed(before, "labapp_stage_gap_seconds_sum")
    assert ("0", "produced", "received") in changed(before, "labapp_stage_gap_seconds_bucket")


def test_the_dashboard_asks_for_what_there_is() -> None:
    """Each metric that docs/grafana-dashboard.json names is one of ours, and each of ours is on it."""
    asked = {
        name
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel["targets"]
        for name in re.findall(r"labapp_\w+", target["expr"])
    }

    assert asked == {name for name, _ in scraped()}
