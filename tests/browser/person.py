"""What a person does on the page, and waits for."""

import re

from playwright.sync_api import Page, expect

from tests.worker import PATIENCE

SLOW = 60_000 * PATIENCE  # brokers that elect a leader, workers that start


def choose(page: Page, count: int, rate: str = "full speed") -> None:
    page.locator("#count label", has_text=re.compile(f"^{count:,}$")).click()
    if count > 1:
        page.locator("#rate").select_option(label=rate)


def send(page: Page, count: int = 1, rate: str = "full speed") -> None:
    choose(page, count, rate)
    page.locator("#send").click()


def proof(page: Page, timeout: float = SLOW, **counts: int) -> None:
    """Waits until the page counts so."""
    for name, count in counts.items():
        expect(page.locator(f"#proof [data-count={name}] dd")).to_have_text(f"{count:,}", timeout=timeout)


def proven(page: Page, sent: int) -> None:
    proof(page, acknowledged=sent, recorded=sent)
    expect(page.locator("#proof-line")).to_contain_text(f"sent {sent}, recorded {sent}, missing 0, twice 0. Nothing lost.")


def state(page: Page, name: str, word: str, timeout: float = SLOW) -> None:
    expect(page.locator(f".box[data-name={name}] .word")).to_have_text(word, timeout=timeout)


def experiment(page: Page, action: str, name: str) -> None:
    page.get_by_role("button", name=f"{action} {name}", exact=True).click()


def experiment_done(page: Page, timeout: float = SLOW) -> None:
    expect(page.locator("#experiment-log > li").first).to_contain_text("done in", timeout=timeout)


def guided(page: Page, step: str) -> None:
    """Opens a step of the guide, which asks for a prediction before it says what happens."""
    item = page.locator(f"#steps li[data-step={step}]")
    item.locator("summary").first.click()
    expect(item.locator(".ask")).to_contain_text("Predict first")
    assert item.locator("details details").get_attribute("open") is None


def happened(page: Page, text: str) -> None:
    """Waits for an incident on the chart."""
    page.locator("#incidents").evaluate("(details) => { details.open = true; }")
    expect(page.locator("#incidents")).to_contain_text(text, timeout=SLOW)


def rows(page: Page) -> list[str]:
    return page.locator("#events .body .row .c-id").all_inner_texts()
