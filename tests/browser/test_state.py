"""The page's pure scripts (`static/state/`), run in a browser that has no server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route

from tests.browser.conftest import launching

PACKAGE = Path(__file__).parent.parent.parent / "labapp"
ORDER = ["clicked", "received", "produced", "appended", "consumed"]
NOW_US = 1_764_000_000_874_012
HOUR_US = 3_600_000_000


@pytest.fixture(scope="module")
def scripts() -> Iterator[Page]:
    """A page that can import the scripts."""

    def serve(route: Route) -> None:
        path = urlsplit(route.request.url).path
        if path == "/":
            route.fulfill(body="<!doctype html><title>scripts</title>", content_type="text/html")
        else:
            route.fulfill(path=PACKAGE / path.lstrip("/"), content_type="text/javascript")

    with launching() as launch:
        browser = launch()
        page = browser.new_page()
        page.route("http://page.test/**", serve)
        page.goto("http://page.test/")
        yield page
        browser.close()


def run(scripts: Page, script: str, body: str, argument: Any = None) -> Any:
    """What `body` returns, which has the script as `it` and the argument as `given`."""
    code = f"async ([path, given]) => {{ const it = await import(path); {body} }}"
    return scripts.evaluate(code, [f"/static/state/{script}.js", argument])


@pytest.mark.parametrize("us", [None, 1e300, -1, NOW_US * 1000, 9.1e21])
def test_a_time_that_no_date_has_is_not_known(scripts: Page, us: float | None) -> None:
    """Nothing throws on it, and it is not shown as 1970 either."""
    assert run(scripts, "time", "return [it.utc(given), it.local(given), it.clock(given)]", us) == ["not known"] * 3


STAGES = {"clicked_us": NOW_US - 2000, "received_us": NOW_US, "produced_us": NOW_US + 300, "appended_us": NOW_US + 1000}


@pytest.mark.parametrize(
    ("clicked_us", "value"),
    [
        (NOW_US * 1_000, {}),  # nanoseconds
        (NOW_US // 1_000, {}),  # seconds
        (NOW_US, {"clicked": NOW_US / 1000, "clock_ahead_ms": 1e16}),
        (NOW_US, {"clicked": NOW_US / 1000, "clock_ahead_ms": -1e300}),
        (None, {"clicked": "yesterday", "clock_ahead_ms": 7}),
    ],
)
def test_a_click_far_from_the_arrival_is_not_known(scripts: Page, clicked_us: int | None, value: dict[str, Any]) -> None:
    """Such an event has no *clicked*, and its other stages are as they are."""
    body = """const event = {value: given.value, stages: given.stages, at: given.stages.received_us,
        aheadUs: typeof given.value.clock_ahead_ms === "number" ? Math.round(given.value.clock_ahead_ms * 1000) : 0};
        return it.times(event, given.order)"""
    found = run(scripts, "stages", body, {"value": value, "stages": {**STAGES, "clicked_us": clicked_us}, "order": ORDER})

    assert found == {**{stage: STAGES.get(f"{stage}_us") for stage in ORDER}, "clicked": None}


def test_a_browsers_clock_that_is_off_by_hours(scripts: Page) -> None:
    """The consumer leaves its *clicked* out, and the page computes it from the value: the gap is right."""
    value = {"clicked": (NOW_US - 2000 + 5 * HOUR_US) / 1000, "clock_ahead_ms": 5 * HOUR_US / 1000}
    body = "return it.times({value: given.value, stages: given.stages, at: given.stages.received_us, aheadUs: given.ahead}, given.order)"
    found = run(scripts, "stages", body, {"value": value, "stages": {**STAGES, "clicked_us": None}, "ahead": 5 * HOUR_US, "order": ORDER})

    assert found["clicked"] == NOW_US - 2000


def test_the_clock_is_measured_again_after_a_jump(scripts: Page) -> None:
    """Asleep or set, by hours or 20 s, forwards or back: what was measured before is forgotten, and nothing is wrong by the jump."""
    body = """
        const time = await import("/static/state/time.js");
        const real = Date.now;
        let offUs = 0; // how far the browser's clock is ahead
        Date.now = () => real() + offUs / 1000;
        const server = () => real() * 1000;
        const measure = (clock) => { const asked = time.nowUs(); const at = server(); clock.sample(asked, at, at, time.nowUs()); };
        const clock = new it.Clock();
        measure(clock); measure(clock);
        const found = [];
        for (const jump of given) {
            offUs += jump;
            const now = time.nowUs(); // a click, the first thing after the jump
            found.push(clock.best === null);
            measure(clock); measure(clock);
            found.push(Math.abs(now - clock.correctionUs - server()) < 60e3);
        }
        Date.now = real;
        return found;"""
    jumps = [20e6, -40e6, 3 * HOUR_US, -3 * HOUR_US]

    assert run(scripts, "clock", body, jumps) == [True] * 2 * len(jumps)


def test_each_sent_event_is_in_one_state(scripts: Page) -> None:
    """At each step the counts of the states add up to what was sent, and each step moves what its facts are about."""
    body = """
        const sent = new it.Sent();
        const states = ["unanswered", "waiting", "looking", "recorded", "expired", "missing", "dead"];
        const found = [];
        const note = () => {
            const {counts} = sent.proof();
            const of = Object.fromEntries(states.filter((state) => counts[state]).map((state) => [state, counts[state]]));
            found.push([of, Object.values(of).reduce((sum, count) => sum + count, 0) === counts.sent]);
        };
        const progress = (next, oldest) => sent.progress({partition: 0, next_to_record: next, end: 10, oldest_kept: oldest});
        for (let offset = 0; offset < 10; offset++) sent.posting(`key-${offset}`);
        note();
        for (let offset = 0; offset < 10; offset++) sent.acknowledged(`key-${offset}`, 0, offset, 1);
        note();
        progress(0, null); note();
        progress(6, null); note();
        sent.row({key: "key-5", partition: 0, offset: 5, deliveries: 1}); note();
        progress(8, 4); note();
        sent.missing("key-4"); note();
        sent.missing("key-9"); note();
        sent.dead(0, 6); sent.recorded("key-7"); note();
        const again = new it.Sent();
        const saved = Object.fromEntries(sent.changes());
        again.restore(Object.keys(saved), (name) => saved[name] ?? null);
        sent.changes().length === 0 && found.push(again.proof().counts.sent);
        return found;"""

    assert run(scripts, "sent", body) == [
        [{"unanswered": 10}, True],
        [{"looking": 10}, True],  # nobody has told yet how far the group is
        [{"waiting": 10}, True],
        [{"waiting": 4, "looking": 6}, True],
        [{"waiting": 4, "looking": 5, "recorded": 1}, True],
        [{"waiting": 2, "looking": 3, "recorded": 1, "expired": 4}, True],
        [{"waiting": 2, "looking": 2, "recorded": 1, "expired": 4, "missing": 1}, True],
        [{"waiting": 2, "looking": 2, "recorded": 1, "expired": 4, "missing": 1}, True],  # it still waits
        [{"waiting": 2, "recorded": 2, "expired": 4, "missing": 1, "dead": 1}, True],
        10,
    ]


@pytest.mark.parametrize("row_first", [True, False])
def test_an_event_whose_records_key_was_in_use(scripts: Page, row_first: bool) -> None:
    """It is counted once under the key of its row, whether the row comes before the acknowledgement or after it."""
    body = """
        const store = new it.Store("group");
        const place = {topic: "topic", partition: 1, offset: 8};
        const row = {...place, key: "topic-1-8", record_key: "k", deliveries: 1, value: {id: 2}, stages: {consumed_us: 9}};
        store.posting("mine", {id: 2}, 1, 1);
        if (given) store.row(row, "group");
        store.renamed("mine", "topic-1-8");
        store.acknowledged("topic-1-8", {...place, stages: {received_us: 2}});
        if (!given) store.row(row, "group");
        const {counts} = store.sent.proof();
        const saved = store.sent.changes().filter(([name]) => name === "sent-0").map(([, text]) => JSON.parse(text).map(([key]) => key));
        return [store.order.map((event) => event.key), counts.sent, counts.recorded, counts.twice, saved];"""

    assert run(scripts, "store", body, row_first) == [["topic-1-8"], 1, 1, 0, [["topic-1-8"]]]


def test_what_is_missing_has_its_offsets(scripts: Page) -> None:
    """The proof says where it was, with consecutive offsets as one range."""
    body = """
        const sent = new it.Sent();
        for (const offset of [5, 3, 4, 9]) { sent.posting(`key-${offset}`); sent.acknowledged(`key-${offset}`, 0, offset, 1); }
        sent.progress({partition: 0, next_to_record: 10, end: 10, oldest_kept: null});
        for (const offset of [5, 3, 4, 9]) sent.missing(`key-${offset}`);
        const {proofLine} = await import("/static/draw/proof.js");
        return proofLine(sent.proof());"""

    assert run(scripts, "sent", body).endswith("Missing: partition 0, offsets 3 to 5, 9. Keys: key-5, key-3, key-4, key-9.")


def test_fifty_thousand_events_are_counted_quickly(scripts: Page) -> None:
    """Counting and expiring them takes a moment of each painting, not more."""
    body = """
        const sent = new it.Sent();
        for (let offset = 0; offset < 50000; offset++) { sent.posting(`key-${offset}`); sent.acknowledged(`key-${offset}`, 0, offset, 1); }
        sent.changes();
        const began = performance.now();
        sent.progress({partition: 0, next_to_record: 50000, end: 50000, oldest_kept: 40000});
        const {counts} = sent.proof();
        sent.changes();
        return [counts.expired, counts.looking, performance.now() - began];"""
    expired, looking, took_ms = run(scripts, "sent", body)

    assert (expired, looking) == (40_000, 10_000)
    assert took_ms < 500
