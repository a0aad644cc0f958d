"""What a person does on the page and sees there, with real processes and brokers."""

import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from labapp.lab import Lab
from tests.browser.person import SLOW, proven, rows, send
from tests.topics import write
from tests.worker import request

# -- sending


def test_first_click_to_waterfall(page: Page) -> None:
    """One click shows the event's whole way, names the longest gap, and counts it."""
    send(page)

    expect(page.locator("#newest .say")).to_contain_text("from clicked to recorded. Longest: ")
    assert page.locator("#newest .bar .gap").count() == 5
    proven(page, 1)
    expect(page.locator("#events .body .row").first).to_have_attribute("data-state", "recorded")
    expect(page.locator("#latency-words")).to_contain_text(re.compile("for (half of )?the last"))
    expect(page.locator("#steps .done [class=hidden]")).to_have_count(2)


def test_opened_event(page: Page) -> None:
    """A click on an event opens its key, place, deliveries, value, stages in UTC and raw JSON; Esc closes it."""
    send(page)
    proven(page, 1)
    page.locator("#events .body .row").first.click()

    detail = page.locator("#events .detail")
    expect(detail).to_contain_text("delivered once")
    assert re.search(r"consumed\s+\d\d:\d\d:\d\d\.\d{3}", detail.inner_text())
    detail.get_by_text("Raw JSON").click()
    assert json.loads(detail.locator("pre").inner_text())["stages"]["consumed_us"] > 0
    page.keyboard.press("Escape")
    expect(detail).to_have_count(0)


def test_keys(page: Page) -> None:
    """s sends, arrows go through the events, Enter opens, / filters, p pauses and nothing is lost meanwhile."""
    for number in (1, 2):
        page.keyboard.press("s")
        proven(page, number)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#events .body .row.opened .c-id")).to_have_text("#1")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("nothing has this")
    expect(page.locator("#events .empty")).to_have_text("No event fits the filter.")
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    before = rows(page)
    page.keyboard.press("s")
    proven(page, 3)
    expect(page.locator("#events-count")).to_contain_text("paused, 1 more")
    assert rows(page) == before
    page.keyboard.press("p")
    expect(page.locator("#events .body .row").first).to_contain_text("#3")


def test_the_guide_leads_to_the_documents(page: Page) -> None:
    """A link of the guide opens a document in another tab, at the section that it names."""
    with page.context.expect_page() as opened:
        page.locator("#steps li[data-step=more]").get_by_role("link", name="Scale").click()
    document = opened.value
    expect(document.locator("body")).to_contain_text("## Scale")
    document.wait_for_function("scrollY > 0")
    send(page)
    proven(page, 1)


@pytest.mark.alone
def test_burst_while_scrolling(page: Page) -> None:
    """A thousand events as fast as they go: the page stays smooth, draws few rows, and keeps in place what is being read."""
    send(page, 100)
    proven(page, 100)
    page.evaluate("""() => {
        window.longest = 0;
        const note = (list) => { for (const each of list.getEntries()) window.longest = Math.max(window.longest, each.duration); };
        new PerformanceObserver(note).observe({type: "longtask"});
    }""")
    _read_far_down(page)
    send(page, 1000)
    expect(page.locator("#proof [data-count=recorded] dd")).to_have_text(re.compile(r"^([6-9]\d\d|1,\d+)$"), timeout=SLOW)
    assert len(page.evaluate("[...window.onTop]")) == 1, "a row, and its place to the pixel, in every frame"
    to_the_end = page.evaluate("window.toTheEnd()")
    page.locator("#events .scroller").hover()
    for _ in range(20):
        page.mouse.wheel(0, -400)
        page.wait_for_timeout(50)

    proven(page, 1100)
    assert page.evaluate("window.toTheEnd()") == to_the_end + 20 * 400
    assert page.evaluate("window.longest") < 200
    assert page.locator("#events .body .row").count() < 40


def test_pause_while_scrolling(page: Page) -> None:
    """After a pause all that came meanwhile is drawn at once, and what is being read keeps its place."""
    send(page, 100)
    proven(page, 100)
    _read_far_down(page)
    page.keyboard.press("p")
    send(page, 100)
    proven(page, 200)
    expect(page.locator("#events-count")).to_contain_text("paused, 100 more")
    page.keyboard.press("p")

    expect(page.locator("#events-count")).not_to_contain_text("paused")
    assert len(page.evaluate("[...window.onTop]")) == 1


def _read_far_down(page: Page) -> None:
    """Scrolls almost to the oldest event, and from then on notes for each frame which row is on top, and where to the pixel."""
    page.evaluate("""() => {
        const scroller = document.querySelector("#events .scroller");
        const box = (element) => element.getBoundingClientRect();
        const edge = () => box(document.querySelector("#events .head")).bottom;
        window.toTheEnd = () => box(document.querySelector("#events .body")).bottom - edge(); // px
        window.onTop = new Set();
        const look = () => {
            const rows = [...document.querySelectorAll("#events .body .row")].filter((row) => box(row).bottom >= edge() + 1);
            const first = rows.sort((a, b) => box(a).top - box(b).top)[0];
            window.onTop.add(`${first?.querySelector(".c-position").innerText}, ${first && box(first).top - edge()} px`);
            requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
        scroller.scrollTop = scroller.scrollHeight - scroller.clientHeight - 300;
    }""")


def test_reload_and_second_tab(page: Page, open_page: Callable[[], Page]) -> None:
    """A reload loses neither events nor counts, and a second tab takes nothing away from the first."""
    send(page, 10)
    proven(page, 10)
    seen = rows(page)[:10]
    second = open_page()
    expect(second.locator("#events .body .row").first).to_be_visible()
    assert rows(second)[:10] == seen
    send(second)
    proven(second, 1)

    expect(page.locator("#events .body .row").first).to_contain_text("#11")
    page.reload()
    proven(page, 10)
    expect(page.locator("#events .body .row").first).to_contain_text("#11")
    assert rows(page)[1:11] == seen


# -- the rest of the page


def test_log_scale(page: Page, lab: Lab) -> None:
    """On a log scale, which says that it is one, a short gap takes more of the bar; in the chart too there is one."""
    event = {"id": f"log-{time.time_ns()}"}
    request(lab.ports["producer"], "POST", "/", json.dumps(event).encode(), {"Content-Type": "application/json"})
    page.locator("#filter").fill(event["id"])
    expect(page.locator("#events .body .row[data-state=recorded]")).to_have_count(1)
    scale = page.locator("#events .head .c-bar")
    expect(scale).to_contain_text(" ms")
    expect(scale).not_to_contain_text("log")
    shares = _shares(page)
    page.get_by_label("log scale").first.check()

    expect(scale).to_contain_text(" ms, log")
    assert _shares(page)[0] > shares[0]
    page.get_by_label("log scale").first.uncheck()
    expect(scale).not_to_contain_text("log")
    assert _shares(page) == shares

    page.evaluate("window.linear = document.querySelector('#latency canvas')")
    page.get_by_label("log scale").last.check()
    page.wait_for_function("window.linear !== document.querySelector('#latency canvas')")


def _shares(page: Page) -> list[float]:
    """What each gap takes of the first event's bar, in percent."""
    return page.evaluate("[...document.querySelector('#events .body .bar').children].map((gap) => parseFloat(gap.style.width))")


def test_theme(page: Page) -> None:
    """The button goes from the system's theme to light and to dark, whatever the system has, and the choice outlives a reload."""
    light, dark = "rgb(245, 246, 248)", "rgb(16, 20, 26)"
    body, button = page.locator("body"), page.locator("#theme")
    page.emulate_media(color_scheme="dark")
    expect(button).to_have_text("Theme: system")
    expect(body).to_have_css("background-color", dark)
    button.click()
    expect(body).to_have_css("background-color", light)
    page.reload()
    expect(button).to_have_text("Theme: light")
    expect(body).to_have_css("background-color", light)

    button.click()
    page.emulate_media(color_scheme="light")
    page.reload()
    expect(button).to_have_text("Theme: dark")
    expect(body).to_have_css("background-color", dark)
    button.click()
    expect(button).to_have_text("Theme: system")
    expect(body).to_have_css("background-color", light)


def test_clocks_that_differ(context: BrowserContext, open_page: Callable[[], Page]) -> None:
    """A browser's clock that is 30 s behind is noticed, told, and taken out of the clicked stage."""
    context.add_init_script("""const [origin, now] = [performance.timeOrigin, Date.now];
        Object.defineProperty(performance, 'timeOrigin', {value: origin - 30000});
        Date.now = () => now() - 30000;""")
    page = open_page()
    expect(page.locator("#clock")).to_contain_text("clock is 30.0 s behind the server’s: “clicked” is corrected by it.")
    send(page)
    proven(page, 1)

    page.locator("#events .body .row").first.click()
    expect(page.locator("#events .detail")).to_contain_text("corrected by 30.0 s")
    assert " ms" in page.locator("#events .body .row .c-total").first.inner_text()


def test_records_and_dead_letters(page: Page, lab: Lab) -> None:
    """The newest records of a partition, and what the consumer could not read with the reason why."""
    with ThreadPoolExecutor() as thread:  # this one's event loop is Playwright's
        thread.submit(write, lab.bootstrap_servers, "first-topic", [(b"broken", b"this is no JSON")]).result()
    send(page)
    proven(page, 1)
    page.get_by_role("button", name="Newest records of first-topic, partition 0").click()
    expect(page.locator("#records")).to_contain_text("received_us")
    page.locator("#dead-letters").click()

    expect(page.locator("#records")).to_contain_text("The value is not JSON")
    expect(page.get_by_role("textbox", name=re.compile("Value of the dead letter")).first).to_have_value("this is no JSON")


def test_markup_in_events_is_text(page: Page, lab: Lab) -> None:
    """What an event holds is shown and never run."""
    event = {"id": "<img src=x>", "note": "<script>document.title = 'taken'</script>"}
    request(lab.ports["producer"], "POST", "/", json.dumps(event).encode(), {"Content-Type": "application/json"})
    row = page.locator("#events .body .row").first
    expect(row).to_contain_text("#<img src=x>")
    row.click()

    expect(page.locator("#events .detail")).to_contain_text("<script>")
    assert page.title() == "Event streaming lab"


def test_nothing_from_elsewhere(context: BrowserContext, open_page: Callable[[], Page]) -> None:
    """The page asks this machine only, so it works without a network, and its answers forbid the rest."""
    asked: list[str] = []
    context.on("request", lambda sent: asked.append(sent.url))
    page = open_page()
    send(page)
    proven(page, 1)

    assert {urlsplit(url).hostname for url in asked} == {"localhost"}
    headers = page.request.get(page.url, headers={"Accept": "text/html"}).headers
    assert headers["content-security-policy"].startswith("default-src 'self'; connect-src 'self' http://localhost:")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    script = page.request.get(f"{page.url}static/main.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert page.request.get(f"{page.url}static/main.js", headers={"If-None-Match": script.headers["etag"]}).status == 304
    assert page.request.get(f"{page.url}static/..%2fsettings.py").status == 404


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(page: Page, scheme: str) -> None:
    """axe finds nothing, light and dark, on a phone, a tablet and a screen; and nothing has to be scrolled sideways."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    send(page)
    proven(page, 1)
    page.locator("#events .body .row").first.click()
    page.get_by_role("button", name="Newest records of first-topic, partition 1").click()
    expect(page.locator("#records h3")).to_be_visible()
    for summary in page.locator("summary").all():
        summary.click()

    for width in (360, 800, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(300)
        results = Axe().run(page)
        assert results.violations_count == 0, f"{width} px:\n{results.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{width} px"
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    assert Axe().run(page).violations_count == 0
