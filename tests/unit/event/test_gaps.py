"""The summary of where the time went, and percentiles."""

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
