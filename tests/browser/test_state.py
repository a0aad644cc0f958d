"""The page's pure scripts (`static/state/`), and the one that paces bursts, run in a browser that has no server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route

from tests.browser.conftest import launching
from tests.worker import PATIENCE

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


def run(scripts: Page, script: str, body: str, argument: Any = None, folder: str = "state") -> Any:
    """What `body` returns, which has the script as `it` and the argument as `given`."""
    code = f"async ([path, given]) => {{ const it = await import(path); {body} }}"
    return scripts.evaluate(code, [f"/static/{folder}/{script}.js", argument])


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
        const states = ["unanswered", "waiting", "looking", "recorded", "expired", "missing", "dead", "forgotten"];
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
        sent.dead(0, 6); sent.recorded("key-7", 0, 7); note();
        const again = new it.Sent();
        const saved = Object.fromEntries(sent.changes());
        again.restore(Object.keys(saved), (name) => saved[name] ?? null);
        again.progress({partition: 0, next_to_record: 8, end: 10, oldest_kept: 4});
        found.push(sent.changes().length === 0 && JSON.stringify(again.proof()) === JSON.stringify(sent.proof()));
        sent.topicIs("one"); note();
        sent.topicIs("another"); note();
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
        True,  # a reload keeps all of it
        [{"waiting": 2, "recorded": 2, "expired": 4, "missing": 1, "dead": 1}, True],
        [{"expired": 6, "missing": 1, "dead": 1, "forgotten": 2}, True],
    ]


@pytest.mark.parametrize("row_first", [True, False])
def test_an_event_whose_records_key_was_in_use(scripts: Page, row_first: bool) -> None:
    """It is counted once under the key of its row, whether the row comes before the acknowledgement or after it."""
    body = """
        const store = new it.Store("group");
        const place = {topic: "topic", partition: 1, offset: 8};
        const row = {...place, key: "topic-1-8", record_key: "k", deliveries: 1, value: {id: 2}, valueText: '{"id": 2}',
            stages: {consumed_us: 9}};
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
    """Counting and expiring them takes a moment of each painting, not more, and all of them fit into what a browser keeps for a tab."""
    body = """
        const sent = new it.Sent();
        for (let offset = 0; offset < 50000; offset++) { sent.posting(`key-${offset}`); sent.acknowledged(`key-${offset}`, 0, offset, 1); }
        const characters = sent.changes(true).reduce((sum, [name, text]) => sum + name.length + text.length, 0);
        const began = performance.now();
        sent.progress({partition: 0, next_to_record: 50000, end: 50000, oldest_kept: 40000});
        const {counts} = sent.proof();
        sent.changes();
        return [counts.expired, counts.looking, performance.now() - began, characters];"""
    body = body.replace("`key-${offset}`", "`0199aaaa-bbbb-7ccc-8ddd-${String(offset).padStart(12, '0')}`")
    expired, looking, took_ms, characters = run(scripts, "sent", body)

    assert (expired, looking) == (40_000, 10_000)
    assert took_ms < 500
    assert characters < 5_000_000


def test_what_is_looked_up_by_its_key(scripts: Page) -> None:
    """An event whose POST was under way when the page was reloaded, or failed: not one whose POST is under way, or was answered."""
    body = """
        const before = new it.Sent();
        for (const key of ["cut off", "answered"]) before.posting(key);
        before.acknowledged("answered", 0, 1, 1);
        const saved = Object.fromEntries(before.changes());
        const sent = new it.Sent();
        sent.restore(Object.keys(saved), (name) => saved[name] ?? null);
        for (const key of ["under way", "failed"]) sent.posting(key);
        sent.failed("failed");
        const found = [sent.unanswered()];
        sent.recorded("cut off", 0, 2);
        sent.acknowledged("failed", 0, 3, 1);
        return [...found, sent.unanswered(), sent.proof().counts.recorded];"""

    assert run(scripts, "sent", body) == [["cut off", "failed"], [], 1]


EXACT = '{ "big": 9007199254740993, "bigger":123456789012345678901234567890,\t"b":1.0, "b": 1e2, "text": "}],\\"stages\\":{" }'


def test_values_are_kept_as_they_were_posted(scripts: Page) -> None:
    """Reading them as JSON would round numbers beyond 2^53, and lose how they were written."""
    start = '{"key":"k\\",\\"deliveries\\":7,\\"value\\":","topic":"t","partition":0,"offset":1,"deliveries":1,"value":'
    row = start + EXACT + ',"stages":{"clicked_us":null}}'
    body = """
        const one = it.rowOf(given);
        const many = it.rowsOf(`{"events":[${given},${given}],"next":"0:1"}`);
        return [one.valueText, one.deliveries, one.value.b, many.map((row) => row.valueText), it.rowsOf('{"events":[],"next":null}')];"""

    assert run(scripts, "row", body, row) == [EXACT, 1, 100, [EXACT, EXACT], []]


ROW = """
    const row = (offset, key, text) => ({key, topic: "t", partition: 0, offset, deliveries: 1, value: {}, valueText: text,
        stages: {appended_us: 1e15 + offset * 1000, consumed_us: 1e15 + offset * 1000}});
    const store = new it.Store("group");"""


@pytest.mark.parametrize("key", ["", r"\xff", None, "in use"])
def test_a_record_that_waited_has_one_line(scripts: Page, key: str | None) -> None:
    """Also if its row has another key than the record, because that is empty, binary or in use."""
    body = """
        const record = {topic: "t", partition: 0, offset: 5, timestamp_us: 1e15, timestamp_by: "client", key: given,
            headers: {}, value: "{}"};
        store.waiting(record);
        store.waiting(record);
        const before = store.order.map((event) => store.state(event));
        store.row(row(5, "t-0-5", "{}"), "group");
        store.waiting(record);
        return [before, store.order.map((event) => [event.key, store.state(event)])];"""

    assert run(scripts, "store", ROW + body, key) == [["waiting"], [["t-0-5", "recorded"]]]


def test_memory_is_bounded_by_bytes_too(scripts: Page) -> None:
    """Large events make room for others before there are many of them."""
    body = """
        for (let offset = 0; offset < 600; offset++) store.row(row(offset, String(offset), "x".repeat(60_000)), "group");
        const characters = store.order.reduce((sum, event) => sum + event.valueText.length, 0);
        return [characters, store.byKey.size === store.order.length, store.order.at(-1).key];"""
    characters, same, newest = run(scripts, "store", ROW + body)

    assert 15_000_000 < characters <= 16_000_000
    assert (same, newest) == (True, "599")


def test_fifty_thousand_rows_are_taken_quickly(scripts: Page) -> None:
    """Also those that are older than all that is kept, and those of two partitions that come one after the other."""
    body = """
        const began = performance.now();
        for (let offset = 0; offset < 50_000; offset += 2) store.row(row(offset, String(offset), "{}"), "group");
        for (let offset = 1; offset < 50_000; offset += 2) store.row(row(offset, String(offset), "{}"), "group");
        const inOrder = store.order.every((event, index) => !index || store.order[index - 1].at <= event.at);
        return [performance.now() - began, inOrder, store.order.length >= 10_000 && store.order.length <= 10_500];"""
    took_ms, in_order, kept = run(scripts, "store", ROW + body)

    assert (in_order, kept) == (True, True)
    assert took_ms < 5000 * PATIENCE


# 400 events at 200 a second on a clock of its own, and a server that answers in 1 ms, but nothing from 0.5 s to 1.5 s.
BURST = """
    const real = {now: performance.now, setTimeout};
    const timers = [];
    let ms = 0;
    performance.now = () => ms;
    globalThis.setTimeout = (call, after = 0) => { timers.push({at: ms + Math.floor(after), call}); };
    const times = [];
    const post = async (clickedUs) => {
      const answer = ms >= 500 && ms < 1500 ? 1500 : ms + 1;
      await new Promise((resolve) => { timers.push({at: answer, call: resolve}); });
      times.push(ms - clickedUs / 1000);
    };
    try {
      let over = false;
      it.burst(400, given, post, new AbortController().signal, () => ms * 1000).then(() => { over = true; });
      while (!over) {
        for (let turn = 0; turn < 20; turn++) await null; // lets all run that waits for no timer
        timers.sort((a, b) => a.at - b.at);
        const timer = timers.shift();
        if (timer) ms = Math.max(ms, timer.at);
        timer?.call();
      }
    } finally {
      performance.now = real.now;
      globalThis.setTimeout = real.setTimeout;
    }
    return times;"""


def test_a_burst_counts_from_when_its_events_were_due(scripts: Page) -> None:
    """A server that is frozen for 1 s makes all the events slow that were due meanwhile, not only those that were under way."""
    times = run(scripts, "sender", BURST, 200, folder="ask")

    assert len(times) == 400
    assert 190 <= sum(time > 20 for time in times) <= 210
    assert max(times) == pytest.approx(1000, abs=10)


def test_a_burst_at_full_speed_has_no_schedule(scripts: Page) -> None:
    """Its events are due when the ones before are answered: only those that were under way are slow."""
    times = run(scripts, "sender", BURST, 0, folder="ask")

    assert sum(time > 20 for time in times) <= 4


def test_the_wait_of_an_event_that_was_sent_late(scripts: Page) -> None:
    """The part of the first gap before the event was sent, as its value says; over half of the gap, it is what the gap is explained by."""
    clicked = NOW_US / 1000 - 900
    body = """const stages = {...given.stages, clicked_us: given.clicked * 1000};
        return given.sent.map((sent) => {
            const [gap] = it.gaps({value: {clicked: given.clicked, sent}, stages, at: 0, aheadUs: 0}, given.order);
            return [gap.us, gap.unsentUs, gap.meaning.includes("it waited in the browser")];
        });"""
    given = {"stages": STAGES, "order": ORDER, "clicked": clicked, "sent": [clicked + 898, clicked + 2, None, "soon", clicked - 50, 1e300]}

    found = run(scripts, "stages", body, given)

    assert found == [[900_000, us, words] for us, words in [(898_000, True), (2000, False), (0, False), (0, False), (0, False), (0, False)]]


def test_the_waits_of_a_burst_are_a_line_of_their_own(scripts: Page) -> None:
    """The page's percentiles of *due* to *sent* take the events that say when they were sent."""
    body = """const event = (number) => ({recorded: true, at: 0, stages: {...given.stages, clicked_us: given.clicked * 1000},
            value: {clicked: given.clicked, ...(number < 10 ? {sent: given.clicked + number} : {})}});
        return it.figures(Array.from({length: 30}, (_, number) => event(number)), given.order).unsent;"""
    given = {"stages": STAGES, "order": ORDER, "clicked": NOW_US / 1000 - 900}

    found = run(scripts, "figures", body, given)

    assert (found["count"], found["p50"], found["max"]) == (10, 4000, 9000)
