"""What the page's scripts say of an event's times (`static/state/`), run in a browser that has no server."""

import csv
import io
import json
import random
from typing import Any

import orjson
import pytest
from playwright.sync_api import Page

from labapp.event import gaps
from labapp.event.stages import STAGES
from tests.browser.test_state import NOW_US, run, scripts

__all__ = ["scripts"]

ORDER = list(STAGES)


def events(dice: random.Random, count: int) -> list[dict[str, Any]]:
    """Recorded events. Some lack a stage, and of some a gap is below 0."""
    found = []
    for number in range(count):
        now_us, stages = NOW_US + number, {}
        for stage in ORDER:
            stages[f"{stage}_us"] = None if dice.random() < 0.02 else now_us
            now_us += dice.choice([0, -700, dice.randint(0, 4000), dice.randint(0, 10**8)])
        found.append({"key": str(number), "recorded": True, "aheadUs": 0, "at": NOW_US, "stages": stages})
    return found


def test_the_page_and_the_server_agree_on_the_tail(scripts: Page) -> None:
    """Of the same rows both say the same of the slowest 1 % and of the middle half; the page in whole percents that add up to 100."""
    dice = random.Random(4)
    for count in (1, 3, 4, 40, 399, 500):
        rows = events(dice, count)
        page = run(scripts, "figures", "return it.figures(given.rows, given.order)", {"rows": rows, "order": ORDER})
        server = gaps.summary([orjson.dumps({"key": row["key"], "stages": row["stages"]}) for row in rows], 500)

        for ours, theirs in ((page["slowest"], server.slowest_1_percent), (page["middle"], server.middle_half)):
            assert ours["count"] == theirs.count
            if theirs.whole_us > 0:
                assert sum(ours["percents"]) == 100
                assert ours["percents"] == pytest.approx([gap.percent for gap in theirs.gaps], abs=1)
            else:
                assert ours["percents"] is None


@pytest.mark.parametrize(
    ("start", "end", "us", "click_error_us", "words"),
    [
        ("clicked", "received", 300, 400, "± 0.40 ms"),
        ("clicked", "received", -300, 400, "± 0.40 ms"),
        ("clicked", "received", 500, 400, ""),
        ("clicked", "received", 500, None, "error not known"),
        ("received", "produced", 1, 400, ""),  # one clock
        ("produced", "appended", 700, 400, "± 1.0 ms or more"),
        ("consumed", "recorded", 1700, 400, ""),
        ("produced", "consumed", 1, 400, "error not known"),  # two workers
    ],
)
def test_the_clocks_error_beside_a_gap(scripts: Page, start: str, end: str, us: int, click_error_us: int | None, words: str) -> None:
    """It is shown if it is larger than the gap, and said to be unknown where nobody compared the clocks."""
    given = {"gap": {"start": start, "end": end, "us": us}, "error": click_error_us}

    assert run(scripts, "clock", "return it.errorInWords(given.gap, given.error)", given) == words


def test_when_an_event_was_committed(scripts: Page) -> None:
    """By the commit that moved the group's offset over it; what lies before all known commits, or behind them, is not known."""
    body = """
        const commits = new it.Commits();
        const first = {first: 10, next: 20, time_us: 1};
        commits.add(0, [first]);
        commits.add(0, [first, {first: 20, next: 21, time_us: 2}]);
        commits.add(0, [{first: 15, next: 30, time_us: 3}]); // after a rewind to 15
        commits.add(1, [{first: 0, next: 5, time_us: 4}]);
        const places = [[0, 9], [0, 10], [0, 19], [0, 20], [0, 29], [0, 30], [1, 4], [2, 4], []];
        return places.map((place) => commits.timeUs(...place));"""

    assert run(scripts, "marks", body) == [None, 1, 1, 2, 3, None, 4, None, None]


FORMULA = '=HYPERLINK("http://elsewhere.test","x")'
KEYS = [
    "0199aa11-0000-7000-8000-000000000000",
    FORMULA,
    "+1",
    "-1",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "a;=1+1",
    'a"b,c',
    "'=1",
    '"=1"',
    "\uff1d1",
    "a b",
    "",
    "x\n=1",
]


def saved(scripts: Page, kind: str) -> tuple[str, list[dict[str, Any]]]:
    given = []
    for number, key in enumerate(KEYS):
        value = {"id": 2**60 + number, "note": f"\u2028\u00a0{key}", key: [number, -1, None, {"t": ";\t=1"}]}
        stages = {f"{stage}_us": NOW_US + 1000 * index for index, stage in enumerate(ORDER)}
        given.append(
            {"key": key, "topic": "first-topic", "partition": 1, "offset": number, "deliveries": 1, "value": value, "stages": stages}
        )
        given[-1]["valueText"] = json.dumps(value, ensure_ascii=False, indent="\t")  # as a client may post it
        given[-1] |= {"aheadUs": 500, "at": NOW_US, "recorded": True, "seenUs": NOW_US + 9000, "clickedHereUs": NOW_US + 500}
    body = f"""const store = {{state: () => "recorded", marks: () => ({{acknowledged: 1, committed: null, seen: 3}})}};
        return it.{kind}(given.events, given.order, store)"""
    return run(scripts, "files", body, {"events": given, "order": ORDER}), given


def test_events_as_json_lines(scripts: Page) -> None:
    """A line an event, with all stages by the server's clock, and the marks beside them."""
    text, given = saved(scripts, "jsonLines")
    lines = [json.loads(line) for line in text.split("\n")[:-1]]

    assert [(line["key"], line["value"]) for line in lines] == [(event["key"], event["value"]) for event in given]
    assert lines[0]["stages"] == {**given[0]["stages"], "clicked_us": NOW_US - 500}
    assert (lines[0]["marks"], lines[0]["clicked_to_seen_us"]) == ({"acknowledged_us": 1, "committed_us": None, "seen_us": 3}, 8500)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_events_as_csv(scripts: Page, separator: str) -> None:
    """It reads back as it was, and no spreadsheet finds a formula in it, whichever separator it takes."""
    text, given = saved(scripts, "csv")
    lines = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))

    def exact(cell: str) -> str:
        return json.loads(cell) if cell.startswith('"') else cell

    assert [(exact(line["key"]), json.loads(line["value"])) for line in lines] == [(event["key"], event["value"]) for event in given]
    assert (lines[0]["key"], lines[0]["topic"]) == (KEYS[0], "first-topic"), "what is harmless is as it is"
    assert lines[0]["clicked_us"] == str(NOW_US - 500)
    assert (lines[0]["committed_us"], lines[0]["seen_us"], lines[0]["clicked_to_seen_us"]) == ("", "3", "8500")
    for cells in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d"))]
    assert text.count("\r\n") == len(KEYS) + 1
