"""Pages of other origins, as the browser lets them ask this app with its default settings."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Error, Page

from tests.worker import Worker, wait_for

POST = """async ([url, event]) => {
    const answer = await fetch(url, {method: "POST", headers: {"Content-Type": "application/json"}, body: event});
    return [answer.status, await answer.json()];
}"""
GET = "async (url) => (await fetch(url)).json()"


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<!doctype html><title>The workshop</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def page_of(launch: Callable[..., Browser]) -> Iterator[Callable[[int], Page]]:
    """A page of http://localhost:PORT; the browser finds all of them at one server, so that these ports may be taken on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever).start()
        here = f"127.0.0.1:{server.server_port}"
        browser = launch(f"--host-resolver-rules=MAP localhost:3000 {here},MAP localhost:3001 {here}")

        def opened(port: int) -> Page:
            page = browser.new_page()
            page.goto(f"http://localhost:{port}/")
            assert (page.title(), page.evaluate("origin")) == ("The workshop", f"http://localhost:{port}")
            return page

        yield opened
        browser.close()
        server.shutdown()


def test_only_the_workshops_page_may_ask(
    page_of: Callable[[int], Page], start_worker: Callable[..., Worker], names: dict[str, str]
) -> None:
    """The page at localhost:3000 sends to the producer and reads from the consumer; the browser refuses that to another."""
    workers = start_worker(ROLE="producer"), start_worker(ROLE="consumer")
    producer, consumer = (f"http://localhost:{worker.ready().port}/" for worker in workers)
    workshop, other = page_of(3000), page_of(3001)

    status, answer = workshop.evaluate(POST, [producer, json.dumps({"id": "of the workshop"})])
    assert (status, answer["topic"]) == (200, names["KAFKA_TOPIC"])
    [event] = wait_for(lambda: workshop.evaluate(GET, consumer), "the event at the consumer")
    assert event["id"] == "of the workshop"

    with pytest.raises(Error, match="Failed to fetch"):
        other.evaluate(POST, [producer, json.dumps({"id": "of another"})])
    with pytest.raises(Error, match="Failed to fetch"):
        other.evaluate(GET, consumer)
    workshop.evaluate(POST, [producer, json.dumps({"id": "and one more"})])
    [event] = wait_for(lambda: workshop.evaluate(GET, consumer), "the next event at the consumer")
    assert event["id"] == "and one more"  # the other page's POST did not arrive
