"""One lab and one browser for all browser tests; a fresh browser profile for each."""

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright

from labapp.lab import APP, PORTS, Lab, processes
from tests import needs, topics
from tests.browser.person import state
from tests.conftest import Kafka
from tests.worker import PATIENCE, Worker, free_port

expect.set_options(timeout=15_000 * PATIENCE)


@pytest.fixture(scope="package")
def lab() -> Iterator[Lab]:
    """Brokers, producer and consumer, and the two other consumers stopped, as after `make run`."""
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        # Every 5 minutes Kafka would move leaders back to a broker that was killed: an incident in whichever test runs then.
        leaders_stay = {"controller": {"auto.leader.rebalance.enable": "false"}}
        lab = Lab(Path(folder), {name: free_port() for name in PORTS}, overrides=leaders_stay)
        with processes.running(lab, APP, lambda text: None):
            yield lab


@pytest.fixture
def whole_lab(lab: Lab) -> Iterator[Lab]:
    """For a test that stops something: the next one finds the lab as it was."""
    yield lab
    with ThreadPoolExecutor(1) as aside:  # this thread's event loop is Playwright's
        for name in APP:
            aside.submit(processes.start, lab, name, lambda text: None).result()
        for name in PORTS:
            if name not in APP:
                aside.submit(processes.stop, lab, name).result()
        aside.submit(topics.leaders_home, lab.bootstrap_servers).result()


@pytest.fixture(scope="package")
def kafka(lab: Lab) -> Kafka:
    """The lab's brokers serve workers of their own too (`start_worker`)."""
    return Kafka(lab)


@pytest.fixture(scope="module")
def launch(lab: Lab) -> Iterator[Callable[..., Browser]]:
    """Starts a browser, with these flags too.

    Not for the session: while Playwright runs, its event loop is this thread's, and nobody else can have one.
    """
    with launching() as launched:
        yield launched


@contextmanager
def launching() -> Iterator[Callable[..., Browser]]:
    with sync_playwright() as playwright:

        def launched(*flags: str) -> Browser:
            try:
                return needs.launch(playwright, *flags)
            except Error as exc:
                pytest.exit(f"No browser starts: `python -m tests.needs` fetches one ({exc.message.splitlines()[0]}).", 1)

        yield launched


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Iterator[Browser]:
    browser = launch()
    yield browser
    browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1400, "height": 950})
    context.set_default_timeout(15_000 * PATIENCE)
    yield context
    context.close()


@pytest.fixture
def open_page(context: BrowserContext, lab: Lab) -> Iterator[Callable[[], Page]]:
    """Opens the page, in one more tab each time, and waits until it shows the consumer online. A script's error fails the test."""
    errors: list[str] = []

    def opened() -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"http://localhost:{lab.ports['producer']}/")
        expect(page.locator(".box[data-name=consumer]")).to_have_attribute("data-state", "online")
        expect(page.locator(".box[data-name=broker-2]")).to_have_attribute("data-state", "online")
        return page

    yield opened
    assert not errors


@pytest.fixture
def page(open_page: Callable[[], Page]) -> Page:
    return open_page()


@dataclass
class Pair:
    """A page with its producer, and a consumer that starts when it is told, with these settings."""

    page: Page
    producer: Worker
    start_producer: Callable[[], Worker]
    start_consumer: Callable[..., Worker]


@pytest.fixture
def pair(start_worker: Callable[..., Worker], context: BrowserContext) -> Pair:
    """Nothing consumes yet."""
    ports = {"producer": free_port(), "consumer": free_port()}
    origins = f"http://localhost:{ports['producer']}"

    def start_producer() -> Worker:
        return start_worker(ROLE="producer", PORT=ports["producer"], CONSUMERS=f"http://localhost:{ports['consumer']}").ready()

    def start_consumer(**settings: object) -> Worker:
        return start_worker(ROLE="consumer", PORT=ports["consumer"], CORS_ORIGINS=origins, **settings).ready()

    producer = start_producer()
    page = context.new_page()
    page.goto(origins)
    state(page, "producer", "online")
    return Pair(page, producer, start_producer, start_consumer)
