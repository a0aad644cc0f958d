"""Many tabs at once, and many clicks."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.person import proof, proven, send


@pytest.mark.alone
def test_seven_tabs(open_page: Callable[[], Page]) -> None:
    """Each of seven tabs shows the workers online and gets every event, and none tells of an incident."""
    tabs = [open_page() for _ in range(7)]
    for number in range(1, 4):
        send(tabs[0])
        proven(tabs[0], number)
    newest = tabs[0].locator("#events .body .row .c-id").first.inner_text()

    for tab in tabs:
        expect(tab.locator("#events .body .row .c-id").first).to_have_text(newest)
        tab.wait_for_timeout(500)
    for tab in tabs:
        assert tab.locator(".box[data-name=consumer]").get_attribute("data-state") == "online"
        expect(tab.locator("#incidents summary")).to_have_text("0 incidents")


def test_every_click_sends(page: Page) -> None:
    """Clicks while earlier ones still wait send too; during a burst the button sends one more if 1 is chosen."""
    page.evaluate("() => { for (let count = 0; count < 12; count++) document.querySelector('#send').click(); }")
    proven(page, 12)

    send(page, 100, "100 a second")
    page.locator("#count label", has_text="1").first.click()
    page.locator("#send").click()
    proof(page, sent=113, recorded=113, missing=0)


def test_the_focus_stays_while_rows_move(page: Page) -> None:
    """Sixty newer events push the focused row out of view, and it keeps the focus."""
    send(page)
    proven(page, 1)
    page.keyboard.press("ArrowDown")
    focused = page.evaluate("document.activeElement.textContent")
    page.evaluate("() => { for (let count = 0; count < 60; count++) document.querySelector('#send').click(); }")
    proven(page, 61)

    assert page.evaluate("[document.activeElement.className, document.activeElement.textContent]") == ["link", focused]


def test_keys_can_be_turned_off(page: Page) -> None:
    """Without single-letter keys s sends nothing, also after a reload."""
    page.locator("#help-open").click()
    page.locator("#single-keys").uncheck()
    page.keyboard.press("Escape")
    page.reload()
    expect(page.locator(".box[data-name=consumer]")).to_have_attribute("data-state", "online")
    page.keyboard.press("s")
    send(page)
    proven(page, 1)
