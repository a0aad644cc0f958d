"""The faults' pure parts: what is drawn from a seed, what counts as missing, twice or wrong, and the table."""

from itertools import islice
from typing import Any

import pytest

from tests.faults import report
from tests.faults.faults import FAULTS, Fault
from tests.faults.outcome import Acknowledged, Outcome
from tests.faults.plan import Step, plan
from tests.faults.soak import fitted


async def nothing(target: Any, seconds: float) -> None:
    pass


def fault(what: str, *touches: str, seconds: tuple[float, float] = (1, 2)) -> Fault:
    return Fault(what, nothing, seconds, frozenset(touches))


def steps(count: int, *arguments: Any, **options: Any) -> list[Step]:
    return list(islice(plan(*arguments, **options), count))


def row(key: str, partition: int = 0, offset: int = 0, consumed_us: int = 0, **value: Any) -> dict[str, Any]:
    return {
        "key": key,
        "partition": partition,
        "offset": offset,
        "deliveries": 1,
        "value": {**value, "produced": "12:00:00:000"},
        "stages": {"consumed_us": consumed_us},
    }


def outcome(*rows: dict[str, Any]) -> Outcome:
    """One event was posted under each of two keys, and acknowledged."""
    return Outcome(
        posted={"a": {"id": "a"}, "b": {"id": "b"}},
        acknowledged={"a": Acknowledged(0, 5, 1_000_000), "b": Acknowledged(1, 7, 2_000_000)},
        rows=list(rows),
    )


class TestPlan:
    def test_reproducible(self) -> None:
        """The same seed draws the same steps, with the same times; another seed draws others."""
        assert steps(50, FAULTS, seed=7) == steps(50, FAULTS, seed=7)
        assert steps(50, FAULTS, seed=7) != steps(50, FAULTS, seed=8)

    def test_each_once(self) -> None:
        """Each fault comes first in a step once before any does so twice."""
        first = [step.faults[0].fault.what for step in steps(2 * len(FAULTS), FAULTS, seed=1)]

        assert sorted(first[: len(FAULTS)]) == sorted(first[len(FAULTS) :]) == sorted(fault.what for fault in FAULTS)

    def test_overlap(self) -> None:
        """A second fault begins before the first one is over, or in the consequences of one that is over at once."""
        kinds = [fault("long", "x", seconds=(3, 5)), fault("short", "y", seconds=(0, 0))]

        for step in steps(100, kinds, seed=1, overlapping=1):
            first, second = step.faults
            assert first.begins_seconds == 0 <= second.begins_seconds <= (first.lasts_seconds or 4)
            assert {first.fault.what, second.fault.what} == {"long", "short"}

    def test_apart(self) -> None:
        """Two faults that touch the same thing never overlap; nor does anything where overlapping is off."""
        kinds = [fault("kill x", "x"), fault("freeze x and y", "x", "y"), fault("kill y", "y")]

        found = {frozenset(drawn.fault.what for drawn in step.faults) for step in steps(200, kinds, seed=1, overlapping=1)}

        assert found == {frozenset({"kill x", "kill y"}), frozenset({"freeze x and y"})}
        assert all(len(step.faults) == 1 for step in steps(50, FAULTS, seed=1, overlapping=0))

    def test_bounds(self) -> None:
        """Each fault lasts as long as it may."""
        for step in steps(200, FAULTS, seed=1):
            for drawn in step.faults:
                least, most = drawn.fault.seconds
                assert least <= drawn.lasts_seconds <= most

    def test_names(self) -> None:
        """Each fault has a name of its own, by which it can be asked for."""
        assert len({fault.what for fault in FAULTS}) == len(FAULTS)


class TestOutcome:
    def test_right(self) -> None:
        """Every acknowledged event has one row of what was posted: nothing failed."""
        found = outcome(row("a", 0, 5, id="a"), row("b", 1, 7, id="b"))

        assert (found.missing, found.twice, found.wrong, found.failed) == (set(), 0, set(), False)

    def test_missing(self) -> None:
        """An acknowledged event without a row is missing."""
        found = outcome(row("a", 0, 5, id="a"))

        assert (found.missing, found.failed) == ({"b"}, True)

    def test_not_acknowledged(self) -> None:
        """An event that was not acknowledged may have a row or none, but not another's."""
        found = outcome(row("a", 0, 5, id="a"), row("b", 1, 7, id="b"))
        found.posted["c"] = {"id": "c"}

        assert not found.failed
        found.rows.append(row("c", 0, 9, id="c"))
        assert not found.failed
        found.rows[-1]["value"]["id"] = "a"
        assert found.wrong == {"c"}

    def test_twice(self) -> None:
        """A second row of a key is one too many."""
        found = outcome(row("a", 0, 5, id="a"), row("b", 1, 7, id="b"), row("a", 0, 5, id="a"))

        assert (found.twice, found.failed) == (1, True)

    @pytest.mark.parametrize(
        "wrong",
        [
            row("a", 0, 5, id="b"),
            row("a", 0, 5, id="a", more=1),
            row("a", 1, 5, id="a"),
            row("a", 0, 6, id="a"),
        ],
        ids=["another's value", "more than was posted", "another partition", "behind the acknowledged offset"],
    )
    def test_wrong(self, wrong: dict[str, Any]) -> None:
        """A row that is not of what was posted under its key is wrong."""
        found = outcome(wrong, row("b", 1, 7, id="b"))

        assert (found.wrong, found.missing, found.failed) == ({"a"}, set(), True)

    def test_appended_twice(self) -> None:
        """The row may be of an earlier append than the one that was acknowledged."""
        assert not outcome(row("a", 0, 3, id="a"), row("b", 1, 7, id="b")).wrong

    def test_never_posted(self) -> None:
        """A row of a key that nobody posted is wrong."""
        assert outcome(row("z", id="z")).wrong == {"z"}

    def test_limbo(self) -> None:
        """A worker that is not ready at the end fails the run."""
        found = outcome(row("a", 0, 5, id="a"), row("b", 1, 7, id="b"))
        found.limbo["consumer"] = "after kill broker-1: 503"

        assert found.failed
        assert "limbo: consumer after kill broker-1: 503" in report.details(found)

    def test_nothing_acknowledged(self) -> None:
        """A run in which nothing was acknowledged shows nothing, and fails."""
        assert Outcome().failed


class TestReport:
    @pytest.mark.parametrize(("times", "longest"), [([], 100), ([10, 50], 50), ([40], 60), ([95], 95), ([-5, 150], 100)], ids=str)
    def test_longest_gap(self, times: list[int], longest: int) -> None:
        """The longest time between two events, or an event and the begin or end; events outside don't count."""
        assert report.longest_gap(times, 0, 100) == longest

    def test_stand_stills(self) -> None:
        """Of each step the partition that stood still longest counts, for posts and for rows."""
        found = outcome(row("a", 0, 5, 1_500_000, id="a"), row("b", 1, 7, 3_000_000, id="b"))
        found.faults, found.until_us = [("kill x", 0)], 4_000_000

        assert report.stand_stills(found) == {"kill x": ([3.0], [3.0])}

    def test_table(self) -> None:
        """A row a fault, over all seeds; what came two at a time stands in one row."""
        found = outcome(row("a", 0, 5, 1_500_000, id="a"), row("b", 1, 7, 3_000_000, id="b"))
        found.faults, found.until_us = [("kill x", 0), ("kill x + cut y", 4_000_000), ("kill y + cut x", 6_000_000)], 7_000_000

        assert report.table([found, found]).splitlines() == [
            "| fault | times | longest stand-still of posts | longest stand-still of rows |",
            "| --- | --- | --- | --- |",
            "| kill x | 2 | 3.0 s | 3.0 s |",
            "| two at a time | 4 | 2.0 s | 2.0 s |",
            "",
            "Of two at a time posts stood still longest by kill x + cut y.",
            "",
            "Of two at a time rows stood still longest by kill x + cut y.",
        ]

    def test_counts(self) -> None:
        """One line has every count, of what is missing, twice, wrong and in limbo too."""
        found = outcome(row("a", 0, 5, id="b"))
        found.faults = [("kill x", 0), ("kill x + cut y", 1)]

        assert report.counts(found) == (
            "steps 2 (1 of two faults), sent 2, acknowledged 2, refused 0, recorded 1 (0 delivered more than once), "
            "missing 1, twice 0, wrong 1, limbo 0"
        )
        assert report.details(found) == "missing: b\nwrong: a"


def test_memory_that_rises_is_named() -> None:
    """By 2 MB a minute after the first five, and not what grew before."""
    times = [number / 12 for number in range(360)]  # every 5 s of 30 minutes
    flat = [(minutes, 80 + min(minutes, 4) * 10 + number % 3) for number, minutes in enumerate(times)]
    leaking = [(minutes, 80 + minutes * 2) for minutes in times]
    lines, rising = fitted({("consumer", 1): leaking, ("fan-out", 3): leaking[:65], ("producer", 2): flat})
    assert rising == ["consumer"]
    assert lines[0].endswith("+2.00 MB a minute")
    assert lines[1] == "fan-out (3): 5 samples after the first 300 s, too few"
    assert lines[2].startswith("producer (2): 12")
