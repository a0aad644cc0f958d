"""The proof on the page: at any moment each event that was sent is in exactly one state, and only what is lost is called missing."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests import topics
from tests.browser.person import SLOW, proof, send, state
from tests.conftest import Kafka
from tests.worker import PATIENCE, Worker, free_port

STATES = ("unanswered", "waiting", "looking", "recorded", "expired", "missing", "dead")


@dataclass
class Pair:
    """A page with its producer, and a consumer that starts when it is told."""

    page: Page
    start_consumer: Callable[[], Worker]


@pytest.fixture
def few_kept(start_worker: Callable[..., Worker], context: BrowserContext) -> Pair:
    """Only 200 rows a partition are kept. Nothing consumes yet."""
    ports = {"producer": free_port(), "consumer": free_port()}
    origins = f"http://localhost:{ports['producer']}"
    producer = start_worker(ROLE="producer", PORT=ports["producer"], CONSUMERS=f"http://localhost:{ports['consumer']}")
    producer.ready()
    page = context.new_page()
    page.goto(origins)
    state(page, "producer", "online")

    def start_consumer() -> Worker:
        return start_worker(ROLE="consumer", PORT=ports["consumer"], ROWS_KEPT=200, CORS_ORIGINS=origins).ready()

    return Pair(page, start_consumer)


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


def test_more_wait_than_are_kept(few_kept: Pair) -> None:
    """Of 1,000 that waited 600 expire as soon as they are recorded: none of them is called missing at any moment."""
    page = few_kept.page
    send(page, 1000)
    proof(page, acknowledged=1000, waiting=1000)
    note_counts(page)

    few_kept.start_consumer()
    state(page, "consumer", "online")
    settled(page, 5)
    proof(page, recorded=400, expired=600, missing=0, twice=0)
    expect(page.locator("#proof-line")).to_contain_text("Nothing lost.")
    assert {counts["missing"] for counts in painted(page)} == {0}
    for counts in painted(page)[-1:]:
        assert sum(counts[state] for state in STATES) == counts["sent"]

    page.reload()
    proof(page, sent=1000, acknowledged=1000, recorded=400, expired=600, missing=0)


def test_what_is_lost_is_called_missing(few_kept: Pair, kafka: Kafka, names: dict[str, str]) -> None:
    """Records that are deleted from the topic before anyone consumed them are missing, and the page says which."""
    page = few_kept.page
    send(page, 100)
    proof(page, acknowledged=100, waiting=100)
    with ThreadPoolExecutor(1) as aside:  # this thread's event loop is Playwright's
        for partition, before in enumerate((10, 5)):
            aside.submit(topics.delete_records, kafka.bootstrap, names["KAFKA_TOPIC"], partition, before).result()

    few_kept.start_consumer()
    state(page, "consumer", "online")
    settled(page, 5)
    proof(page, recorded=85, missing=15, timeout=5000 * PATIENCE)
    expect(page.locator("#proof-line")).to_contain_text(re.compile("Missing: .*, and 10 more"))


def test_a_crash_and_a_duplicated_tab(few_kept: Pair, context: BrowserContext) -> None:
    """A tab that crashes has its counts again when it is reloaded; a duplicated tab has sent nothing."""
    page = few_kept.page
    send(page, 10, "full speed")
    proof(page, acknowledged=10, waiting=10)
    page.wait_for_function("JSON.stringify(sessionStorage).split('ackAtUs').length > 10")
    stored = page.evaluate("Object.entries(sessionStorage)")
    twin = context.new_page()  # what a browser does that duplicates a tab
    twin.add_init_script(f"if (!sessionStorage.tab) for (const [name, text] of {stored!r}) sessionStorage.setItem(name, text)")
    twin.goto(page.url)
    state(twin, "producer", "online")
    expect(twin.locator("#proof-line")).to_have_text("Nothing sent from here yet.", timeout=SLOW)

    crashed = context.new_cdp_session(page)
    page.evaluate("() => addEventListener('pagehide', (event) => event.stopImmediatePropagation(), true)")
    crashed.send("Page.reload", {"ignoreCache": True})
    proof(page, sent=10, acknowledged=10, waiting=10)
