"""The proof on the page: at any moment each event that was sent is in exactly one state, and only what is lost is called missing."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests import topics
from tests.browser.conftest import Pair
from tests.browser.person import proof, send, state
from tests.conftest import Kafka
from tests.worker import PATIENCE

STATES = ("unanswered", "waiting", "looking", "recorded", "expired", "missing", "dead", "forgotten")
MANY = 50_000

# Notes events as sent and acknowledged, as the page does that sends them, and saves that for its next load.
SENT = """async (count) => {
    const {Sent} = await import("/static/state/sent.js");
    const sent = new Sent();
    for (let number = 0; number < count; number++) {
        const key = `0199aaaa-bbbb-7ccc-8ddd-${String(number).padStart(12, "0")}`;
        sent.posting(key);
        sent.acknowledged(key, number % 2, number >> 1, 1);
    }
    for (const [name, text] of sent.changes(true)) sessionStorage.setItem(name, text);
}"""


def note_counts(page: Page) -> None:
    """Notes from now on every painting of the counts."""
    page.evaluate("""() => {
        window.painted = [];
        const note = () => window.painted.push(Object.fromEntries([...document.querySelectorAll("#proof [data-count]")].map((box) =>
            [box.dataset.count, Number(box.lastChild.textContent.replaceAll(",", ""))])));
        note();
        new MutationObserver(note).observe(document.querySelector("#proof"), {subtree: true, childList: true, characterData: true});
    }""")


def painted(page: Page) -> list[dict[str, Any]]:
    return page.evaluate("window.painted")


def settled(page: Page, seconds: float) -> None:
    for name in ("waiting", "looking", "unanswered"):
        expect(page.locator(f"#proof [data-count={name}] dd")).to_have_text("0", timeout=seconds * 1000 * PATIENCE)


def test_more_wait_than_are_kept(pair: Pair) -> None:
    """Of 1,000 that waited 600 expire as soon as they are recorded: none of them is called missing at any moment."""
    page = pair.page
    send(page, 1000)
    proof(page, acknowledged=1000, waiting=1000)
    note_counts(page)

    pair.start_consumer(ROWS_KEPT=200)
    state(page, "consumer", "online")
    settled(page, 5)
    proof(page, recorded=400, expired=600, missing=0, twice=0)
    expect(page.locator("#proof-line")).to_contain_text("Nothing lost.")
    assert {counts["missing"] for counts in painted(page)} == {0}
    for counts in painted(page)[-1:]:
        assert sum(counts[state] for state in STATES) == counts["sent"]

    page.reload()
    proof(page, sent=1000, acknowledged=1000, recorded=400, expired=600, missing=0)


@pytest.mark.alone
@pytest.mark.parametrize("kept", [10_000, MANY])
def test_fifty_thousand_that_waited(pair: Pair, kafka: Kafka, names: dict[str, str], kept: int) -> None:
    """They settle in 10 s after the consumer is back, and the page does not freeze meanwhile."""
    page, each = pair.page, MANY // 2
    with ThreadPoolExecutor(1) as aside:  # this thread's event loop is Playwright's
        for partition in (0, 1):
            keys = (f"0199aaaa-bbbb-7ccc-8ddd-{2 * offset + partition:012}".encode() for offset in range(each))
            records = [(key, b'{"id":"one of many"}') for key in keys]
            aside.submit(topics.write, kafka.bootstrap, names["KAFKA_TOPIC"], records, partition, [("received_us", b"1")]).result()
    page.evaluate(SENT, MANY)
    page.reload()
    proof(page, sent=MANY, acknowledged=MANY, waiting=MANY, missing=0)
    note_counts(page)
    page.evaluate("""() => {
        window.frozen = 0; // ms
        const note = (list) => { for (const each of list.getEntries()) window.frozen = Math.max(window.frozen, each.duration); };
        new PerformanceObserver(note).observe({type: "longtask"});
    }""")

    pair.start_consumer(ROWS_KEPT=kept)
    began = time.monotonic()
    settled(page, 10)
    took = time.monotonic() - began
    proof(page, recorded=min(MANY, 2 * kept), expired=MANY - min(MANY, 2 * kept), missing=0, twice=0, sent=MANY)
    print(f"{MANY} events settled in {took:.1f} s, longest task {page.evaluate('window.frozen')} ms")
    assert {counts["missing"] for counts in painted(page)} == {0}
    assert page.evaluate("window.frozen") < 500 * PATIENCE


def test_what_is_lost_is_called_missing(pair: Pair, kafka: Kafka, names: dict[str, str]) -> None:
    """Records that are deleted from the topic before anyone consumed them are missing, and the page says which."""
    page = pair.page
    send(page, 100)
    proof(page, acknowledged=100, waiting=100)
    with ThreadPoolExecutor(1) as aside:  # this thread's event loop is Playwright's
        for partition, before in enumerate((10, 5)):
            aside.submit(topics.delete_records, kafka.bootstrap, names["KAFKA_TOPIC"], partition, before).result()

    pair.start_consumer(ROWS_KEPT=200)
    state(page, "consumer", "online")
    settled(page, 5)
    proof(page, recorded=85, missing=15, timeout=5000 * PATIENCE)
    expect(page.locator("#proof-line")).to_contain_text(re.compile("Missing: .*, and 10 more"))
