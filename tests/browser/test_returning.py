"""What a page keeps and learns over a reload, a crash, a second tab, and a cluster that begins anew."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Error, Page, Route, expect

from tests import topics
from tests.browser.conftest import Pair
from tests.browser.person import SLOW, proof, send, state
from tests.conftest import Kafka
from tests.worker import PATIENCE, request, wait_for


class Devtools:
    """A tab by Chrome's own protocol. Playwright gives up a page that crashed."""

    def __init__(self, browser: Browser, page: Page) -> None:
        self._browser = browser.new_browser_cdp_session()
        self._answers: dict[int, Any] = {}
        self._browser.on("Target.receivedMessageFromTarget", lambda message: self._note(message))
        targets = self._browser.send("Target.getTargets")["targetInfos"]
        [target] = [target["targetId"] for target in targets if target["url"] == page.url]
        self._session = self._browser.send("Target.attachToTarget", {"targetId": target, "flatten": False})["sessionId"]
        self._number = 0

    def _note(self, message: dict[str, Any]) -> None:
        answer = json.loads(message["message"])
        self._answers[answer.get("id")] = answer.get("result")

    def send(self, method: str, **parameters: Any) -> int:
        self._number += 1
        message = json.dumps({"id": self._number, "method": method, "params": parameters})
        self._browser.send("Target.sendMessageToTarget", {"sessionId": self._session, "message": message})
        return self._number

    def evaluate(self, expression: str) -> Any:
        number = self.send("Runtime.evaluate", expression=expression)
        wait_for(lambda: self._browser.send("Target.getTargets") and number in self._answers, "an answer of the tab")
        return self._answers[number]["result"].get("value")


def saved(page: Page, count: int) -> None:
    """Waits until so many acknowledged events are saved in the tab."""
    text = 'Object.values(sessionStorage).join().match(/[0-9a-f-]{36}",[0-9]/g)?.length'
    wait_for(lambda: page.evaluate(text) == count, f"{count} events saved")


def release(held: list[Route]) -> None:
    """Ends requests that nobody answered. Their page is gone by now."""
    for route in held:
        with suppress(Error):
            route.abort()


def test_a_tab_that_crashes(pair: Pair, browser: Browser) -> None:
    """Loaded again, it has its counts."""
    page, crashes = pair.page, list[Page]()
    page.on("crash", lambda crashed: crashes.append(crashed))
    send(page, 10)
    proof(page, acknowledged=10, waiting=10)
    saved(page, 10)
    tab = Devtools(browser, page)
    tab.send("Page.crash")
    wait_for(lambda: tab._browser.send("Target.getTargets") and crashes, "the crash")

    tab.send("Page.navigate", url=page.url)
    line = "document.querySelector('#proof-line')?.textContent"
    wait_for(lambda: "sent 10, recorded 0, waiting 10, missing 0" in str(tab.evaluate(line)), "its counts")


def test_a_duplicated_tab(pair: Pair, context: BrowserContext) -> None:
    """It has a copy of what the tab kept, and has sent nothing itself. Each of the two goes on with its own counts."""
    page = pair.page
    send(page, 10)
    proof(page, acknowledged=10, waiting=10)
    saved(page, 10)
    with context.expect_page() as opened:
        page.evaluate("void window.open(location.href)")  # which copies what the tab keeps, as duplicating does
    twin = opened.value
    assert twin.evaluate("sessionStorage.length") > 0
    state(twin, "producer", "online")
    expect(twin.locator("#proof-line")).to_have_text("Nothing sent from here yet.", timeout=SLOW)

    send(twin)
    proof(twin, sent=1, acknowledged=1)
    for tab, count in ((page, 10), (twin, 1), (page, 10)):
        tab.reload()
        proof(tab, sent=count, acknowledged=count, waiting=count)


FILL = """() => {
    for (let size = 1 << 23; size >= 1; size >>= 1) {
        try {
            for (let number = 0; number < 9; number++) sessionStorage.setItem(`${size}-${number}`, "x".repeat(size));
        } catch { /* no room for so much */ }
    }
}"""


def test_a_tab_that_can_keep_no_more(page: Page) -> None:
    """A browser keeps a few million characters for a tab. Beyond that the page says that a reload forgets, and counts on."""
    send(page)
    expect(page.locator("#proof-line")).to_contain_text("Nothing lost.")
    expect(page.locator("#proof-line")).not_to_contain_text("The browser keeps no more")
    page.evaluate(FILL)
    send(page)
    expect(page.locator("#proof-line")).to_contain_text("The browser keeps no more for this tab")
    proof(page, recorded=2)


def test_tabs_share_the_numbers(pair: Pair, context: BrowserContext) -> None:
    """However many tabs send at once, no two events have the same."""
    other = context.new_page()
    other.goto(pair.page.url)
    state(other, "producer", "online")
    click = "() => { for (let count = 0; count < 20; count++) document.querySelector('#send').click(); }"
    for _ in range(3):
        for tab in (pair.page, other):
            tab.evaluate(click)
    for tab in (pair.page, other):
        proof(tab, acknowledged=60)
    consumer = pair.start_consumer()
    rows = wait_for(lambda: (rows := consumer.rows()) and len(rows) == 120 and rows, "120 rows")

    assert sorted(row["value"]["id"] for row in rows) == list(range(1, 121))


def test_a_reload_while_posts_are_under_way(pair: Pair) -> None:
    """What became of them is found out: one reached Kafka though its answer came to nobody, and nobody knows of the other."""
    page, port = pair.page, int(pair.page.url.split(":")[-1].strip("/"))
    arrived, held = list[int](), list[Route]()

    def cut_off(route: Route) -> None:
        """The first one arrives. Neither is answered."""
        if route.request.method != "POST":
            route.fallback()
            return
        held.append(route)
        if not arrived:
            headers = {"Content-Type": "application/json", "Idempotency-Key": route.request.headers["idempotency-key"]}
            arrived.append(request(port, "POST", "/", route.request.post_data_buffer, headers).status)

    page.route(page.url, cut_off)
    for _ in range(2):
        page.locator("#send").click()
    proof(page, sent=2, unanswered=2)
    wait_for(lambda: page.evaluate("Object.values(sessionStorage).join().split('-7').length > 2"), "both saved")
    page.reload()
    release(held)

    assert arrived == [200]
    proof(page, sent=2, waiting=1, unanswered=1, missing=0)
    pair.start_consumer()
    proof(page, sent=2, recorded=1, waiting=0, unanswered=1, missing=0)
    page.reload()
    proof(page, sent=2, recorded=1, waiting=0, unanswered=1, missing=0)


def test_recorded_while_the_page_was_reloaded(pair: Pair) -> None:
    """An event whose POST was cut off by the reload is found by its key, also if the page gets its row in no other way."""
    page, port, held = pair.page, int(pair.page.url.split(":")[-1].strip("/")), list[Route]()
    pair.start_consumer()
    page.add_init_script("delete window.SharedWorker")  # whose requests a test can't hold up
    page.route(re.compile(r"/events(/stream)?(\?|$)"), lambda route: route.abort())
    page.reload()
    state(page, "consumer", "online")

    def record(route: Route) -> None:
        if route.request.method != "POST":
            route.fallback()
            return
        held.append(route)
        headers = {"Content-Type": "application/json", "Idempotency-Key": route.request.headers["idempotency-key"]}
        assert request(port, "POST", "/", route.request.post_data_buffer, headers).status == 200

    page.route(page.url, record)
    page.locator("#send").click()
    proof(page, sent=1, unanswered=1)
    wait_for(lambda: page.evaluate("Object.values(sessionStorage).join().includes('-7')"), "it is saved")
    page.reload()
    release(held)

    proof(page, sent=1, recorded=1, unanswered=0, missing=0)


def test_an_event_is_shown_as_it_was_posted(pair: Pair) -> None:
    """Numbers beyond 2^53 too, from the stream and from what was recorded before. Another delivery of it shows without a reload."""
    page, port = pair.page, int(pair.page.url.split(":")[-1].strip("/"))
    pair.start_consumer()
    state(page, "consumer", "online")
    body = b'{"id":"exact","big": 9007199254740993, "one":1.0, "long":0.12345678901234567890}'
    headers = {"Content-Type": "application/json", "Idempotency-Key": "exact"}
    request(port, "POST", "/", body, headers)
    detail = page.locator("#events .detail")

    def opened() -> None:
        page.locator("#events .body .row[data-state=recorded]").first.click()
        detail.get_by_text("Raw JSON").click()
        expect(detail.locator("pre")).to_contain_text('"big": 9007199254740993, "one":1.0, "long":0.12345678901234567890')

    opened()
    expect(detail).to_contain_text("delivered once")
    request(port, "POST", "/", body, headers)
    expect(detail).to_contain_text("delivered 2 times, recorded once")
    expect(page.locator("#events .body .row")).to_have_count(1)
    expect(page.locator(".box[data-name=consumer]")).to_contain_text(" UTC")
    page.reload()
    opened()


def test_the_clusters_data_are_forgotten(pair: Pair, kafka: Kafka, names: dict[str, str]) -> None:
    """A page that stays open shows new events at once, and calls none of the old ones missing."""
    page, topic = pair.page, names["KAFKA_TOPIC"]
    consumer = pair.start_consumer()
    state(page, "consumer", "online")
    send(page, 10)
    proof(page, recorded=10)
    consumer.stop()
    state(page, "consumer", "offline")
    send(page, 10)
    proof(page, acknowledged=20, recorded=10, waiting=10)
    pair.producer.stop()
    state(page, "producer", "offline")
    with ThreadPoolExecutor(1) as aside:  # this thread's event loop is Playwright's
        for name in (topic, f"{names['CONSUMER_GROUP']}-events-changelog"):
            aside.submit(topics.remove, kafka.bootstrap, name).result()

    pair.start_producer()
    pair.start_consumer()
    state(page, "consumer", "online")
    send(page)
    proof(page, sent=21, recorded=1, expired=10, forgotten=10, missing=0, waiting=0, looking=0, timeout=5000 * PATIENCE)
    expect(page.locator("#events .body .row").first).to_have_attribute("data-state", "recorded")
    expect(page.locator("#proof-line")).to_contain_text("The topic was deleted and made anew")
    page.locator("#incidents summary").click()
    expect(page.locator("#incidents")).to_contain_text(f"{topic} made anew")
    page.reload()
    proof(page, sent=21, recorded=1, expired=10, forgotten=10, missing=0)
