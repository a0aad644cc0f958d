"""Takes the pictures of the page in docs/ anew: `python -m tests.browser.pictures`. It starts a lab of its own."""

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from labapp.lab import APP, PORTS, Lab, processes
from tests import needs
from tests.browser import person
from tests.worker import ROOT, free_port

DOCS = ROOT / "docs"
# In CSS pixels. The widest is the window of a laptop, the narrowest that of a phone.
SIZES = {1400: 1180, 800: 1180, 360: 800}
THEMES = ("light", "dark")


def opened(browser: Browser, lab: Lab, width: int, theme: str) -> Page:
    page = browser.new_page(viewport={"width": width, "height": SIZES[width]}, color_scheme="dark" if theme == "dark" else "light")
    page.goto(f"http://localhost:{lab.ports['producer']}/")
    expect(page.locator(".box[data-name=consumer]")).to_have_attribute("data-state", "online", timeout=person.SLOW)
    return page


def take(browser: Browser, lab: Lab) -> None:
    """One picture for each width and theme after five events, and README.md's with the consumer stopped and four events waiting."""
    for width in SIZES:
        for theme in THEMES:
            page = opened(browser, lab, width, theme)
            for sent in range(1, 6):
                person.send(page)
                person.proof(page, recorded=sent)
            page.mouse.move(0, 0)
            page.screenshot(path=DOCS / f"page-{theme}-{width}.png")
            page.close()
    page = opened(browser, lab, 1400, "light")
    person.send(page, 100)
    person.proof(page, recorded=100)
    person.experiment(page, "stop", "consumer")
    person.experiment_done(page)
    for sent in range(101, 105):
        person.send(page)
        person.proof(page, acknowledged=sent)
    person.proof(page, waiting=4)
    page.mouse.move(0, 0)
    page.screenshot(path=DOCS / "page-light.png")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        lab = Lab(Path(folder), {name: free_port() for name in PORTS})
        with processes.running(lab, APP), sync_playwright() as playwright:
            take(needs.launch(playwright), lab)


if __name__ == "__main__":
    main()
