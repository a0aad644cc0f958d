"""The summary of where the time went, and percentiles."""

import random

import orjson
import pytest

from labapp.event.gaps import percentile, summary


def row(**stages: int | None) -> bytes:
    names = ("clicked", "received", "produced", "appended", "consumed", "recorded")
    return orjson.dumps({"key": "k", "stages": {f"{name}_us": stages.get(name) for name in names}})


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (95, 95), (99, 99), (100, 100)])
def test_percentile(percent: int, value: int) -> None:
    """The smallest value that so many percent do not exceed."""
    assert percentile(range(1, 101), percent) == value


def test_percentile_of_few() -> None:
    """One value is all of its percentiles, and none has none."""
    assert [percentile([7], percent) for percent in (50, 95, 99)] == [7, 7, 7]
    assert percentile([], 50) is None


def test_summary_names_the_longest_gap() -> None:
    """Each gap counts the rows that have both of its stages; the longest is that of the largest p50."""
    found = summary(
        [
            row(clicked=0, received=5, produced=6, appended=26, consumed=30, recorded=33),
            row(received=0, produced=4, appended=20, consumed=21),
        ],
        500,
    )

    assert (found.window, found.count, found.longest) == (500, 2, "produced to appended")
    assert [(gap.start, gap.count, gap.p50_us, gap.max_us) for gap in found.gaps] == [
        ("clicked", 1, 5, 5),
        ("received", 2, 1, 4),
        ("produced", 2, 16, 20),
        ("appended", 2, 1, 4),
        ("consumed", 1, 3, 3),
    ]
    assert (found.whole.count, found.whole.p50_us) == (1, 33)


def test_summary_counts_what_is_below_0() -> None:
    """Two clocks that differ are shown, not hidden."""
    gaps = summary([row(produced=1900, appended=1000)], 1).gaps

    assert (gaps[2].below_0, gaps[2].p50_us) == (1, -900)


def test_summary_has_no_p99_of_few() -> None:
    """Below 100 values there is no 99th percentile."""
    one = row(received=0, produced=4)

    assert summary([one] * 99, 500).gaps[1].p99_us is None
    assert summary([one] * 100, 500).gaps[1].p99_us == 4


def test_summary_of_nothing() -> None:
    """Without rows every gap is there, empty."""
    found = summary([], 500)

    assert (found.count, found.longest, [gap.p50_us for gap in found.gaps]) == (0, None, [None] * 5)
    assert (found.slowest_1_percent.count, found.middle_half.count) == (0, 0)
    assert {gap.percent for gap in found.slowest_1_percent.gaps} == {None}


def test_shares_add_up() -> None:
    """In each group the gaps are all of the whole, whatever the rows are; a row that lacks a stage is in no group."""
    dice = random.Random(16)
    for _ in range(100):
        rows, whole_us = [], []
        for _ in range(dice.randint(1, 450)):
            times, now_us = {}, dice.randint(0, 10**6)
            for stage in ("clicked", "received", "produced", "appended", "consumed", "recorded"):
                times[stage] = None if dice.random() < 0.01 else now_us
                now_us += dice.choice([0, -900, dice.randint(0, 5000), dice.randint(0, 10**9)])
            rows.append(row(**times))
            if None not in times.values():
                whole_us.append(times["recorded"] - times["clicked"])
        whole_us.sort()
        found = summary(rows, 500)
        slowest, middle = found.slowest_1_percent, found.middle_half

        count = -(-len(whole_us) // 100)
        assert (slowest.count, slowest.whole_us) == (count, sum(whole_us[len(whole_us) - count :]))
        p25, p75 = (percentile(whole_us, percent) for percent in (25, 75))
        assert middle.count == sum(p25 <= one <= p75 for one in whole_us)
        for group in (slowest, middle):
            assert sum(gap.sum_us for gap in group.gaps) == group.whole_us
            if group.whole_us > 0:
                assert sum(gap.percent for gap in group.gaps) == pytest.approx(100)
            else:
                assert {gap.percent for gap in group.gaps} == {None}


def test_the_tail_spends_its_time_elsewhere() -> None:
    """99 events take 1 ms in each gap, and one waits 95 ms to be consumed: no percentile of a gap says what share that is."""
    quick = row(clicked=0, received=1000, produced=2000, appended=3000, consumed=4000, recorded=5000)
    slow = row(clicked=0, received=1000, produced=2000, appended=3000, consumed=99_000, recorded=100_000)
    found = summary([quick] * 99 + [slow], 500)

    assert [gap.percent for gap in found.slowest_1_percent.gaps] == [1, 1, 1, 96, 1]
    assert [gap.percent for gap in found.middle_half.gaps] == [20] * 5
    assert (found.slowest_1_percent.count, found.middle_half.count) == (1, 99)
