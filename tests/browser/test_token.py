"""The page of a worker that has an API_TOKEN."""

from collections.abc import Callable

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, expect

from tests.browser.person import proof, send
from tests.worker import Worker

TOKEN = "open-sesame-of-the-page"


def test_send_with_token(context: BrowserContext, start_worker: Callable[..., Worker]) -> None:
    """The page asks for the token when it is needed, once, and sends with it, after a reload too; it is in no address and no log."""
    worker = start_worker("-l", "debug", API_TOKEN=TOKEN, CONSUMERS="").ready()
    addresses: list[str] = []
    context.on("request", lambda sent: addresses.append(sent.url))
    page = context.new_page()
    page.goto(f"http://localhost:{worker.port}/")
    expect(page.locator(".box[data-name='this worker']")).to_have_attribute("data-state", "online")
    dialog = page.get_by_role("dialog", name="This worker wants its API_TOKEN")
    token = dialog.get_by_label("API_TOKEN")

    send(page, 10)
    expect(dialog).to_be_visible()
    assert Axe().run(page).violations_count == 0
    page.keyboard.press("Escape")
    expect(page.locator("#send")).to_have_text("Send 10 events")  # the burst is over, and nobody is asked again
    expect(dialog).to_be_hidden()
    expect(page.locator("#send-problem")).to_contain_text("This request needs the header Authorization: Bearer")
    proof(page, acknowledged=0, recorded=0)

    page.locator("#send").click()
    expect(dialog.get_by_role("alert")).to_be_hidden()
    token.fill("another")
    token.press("Enter")
    expect(dialog.get_by_role("alert")).to_have_text("That one was not accepted.")
    token.fill(TOKEN)
    token.press("Enter")
    proof(page, acknowledged=10, recorded=10)
    expect(page.locator("#send-problem")).to_be_hidden()

    page.reload()
    send(page)
    proof(page, acknowledged=11, recorded=11)
    expect(dialog).to_be_hidden()
    assert [address for address in addresses if TOKEN in address] == []
    assert TOKEN not in worker.log


def test_read_with_token(context: BrowserContext, start_worker: Callable[..., Worker]) -> None:
    """Where reading needs the token too, the page asks for it at once. What it shows comes with it, the stream of rows too."""
    worker = start_worker("-l", "debug", API_TOKEN=TOKEN, API_TOKEN_FOR="everything", CONSUMERS="").ready()
    page = context.new_page()
    box = page.locator(".box[data-name='this worker']")
    dialog = page.get_by_role("dialog", name="This worker wants its API_TOKEN")
    token = dialog.get_by_label("API_TOKEN")
    page.goto(f"http://localhost:{worker.port}/")

    token.fill("another")
    token.press("Enter")
    expect(dialog.get_by_role("alert")).to_have_text("That one was not accepted.")
    expect(box).to_have_count(0)
    token.fill(TOKEN)
    token.press("Enter")
    expect(box).to_have_attribute("data-state", "online")
    send(page, 10)
    proof(page, acknowledged=10, recorded=10)

    page.reload()
    send(page)
    proof(page, acknowledged=11, recorded=11)
    expect(dialog).to_be_hidden()
    assert TOKEN not in worker.log
