"""Where API_TOKEN is asked for: for what changes anything, or for everything."""

from collections.abc import Iterator

import pytest

from labapp import settings
from labapp.event.row import row_of
from labapp.event.rows import Rows
from labapp.patched.faust_router import authorization
from tests.unit.records import ARRIVAL_US, Record
from tests.unit.served import Served, served
from tests.unit.serving import let_own_partition_0
from tests.worker import request

TOKEN = "open-sesame"
FREE = ["/ping", "/health/live", "/static/main.js"]
READS = ["/", "/events", "/events/k", "/events/stream", "/stages", "/cluster", "/records?partition=0", "/dead-letters", "/status", "/page",
         "/metrics", "/openapi.json", "/asyncapi.json", "/table/", "/table/events/k/", "/router/",
         "/nothing", "/static", "//ping"]  # fmt: skip


def owner() -> None:
    from labapp.app import app, event_table

    let_own_partition_0(str(app.conf.canonical_url))
    event_table.owned[0] = Rows(
        row_of(Record(key=key, partition=0, offset=offset), ARRIVAL_US) for offset, key in enumerate([b"k", b"a/b"])
    )


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served"), owner, API_TOKEN=TOKEN, API_TOKEN_FOR="everything") as found:
        yield found


@pytest.mark.parametrize("path", READS)
def test_reading_needs_the_token(path: str, worker: Served) -> None:
    """401 without it or with another, whatever the address."""
    for headers in ({}, {"Authorization": "Bearer open"}, {"Authorization": "Worker "}, {"Authorization": "Worker " + "0" * 64}):
        for address in (path, f"{path}{'&' if '?' in path else '?'}local"):
            answer = request(worker.port, "GET", address, None, headers)
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), (headers, answer)


@pytest.mark.parametrize("path", ["/health/../events", "/static/../events", "/static%2f..%2fevents", "/ping/../events"])
def test_no_way_around_it(path: str, worker: Served) -> None:
    """A path that begins as a free one leads to nothing else."""
    assert worker.get(path).status in (401, 404)


def test_who_has_the_token_may_read(worker: Served) -> None:
    """By the header."""
    assert worker.get("/events/k", Authorization=f"Bearer {TOKEN}").json["key"] == "k"
    assert request(worker.port, "POST", "/", b"{}", {"Content-Type": "text/plain", "Authorization": f"Bearer {TOKEN}"}).status == 415
    assert request(worker.port, "POST", "/", b"{}").status == 401


@pytest.mark.parametrize("path", FREE)
def test_what_stays_free(path: str, worker: Served) -> None:
    """Health checks, and the files of the page."""
    assert worker.get(path).status == 200


def test_the_page_itself_is_free(worker: Served) -> None:
    """It asks the person for the token, and browsers ask first whether a page may send it."""
    assert worker.get("/", Accept="text/html").headers.get_content_type() == "text/html"
    page = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    preflight = request(worker.port, "OPTIONS", "/events/stream", None, page)
    assert (preflight.status, preflight.headers["Access-Control-Allow-Headers"]) == (200, "AUTHORIZATION")
    refused = request(worker.port, "GET", "/events", None, {"Origin": "http://localhost:3000"})
    assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (401, "http://localhost:3000")


def test_on_a_consumer_no_page_is_free(tmp_path_factory: pytest.TempPathFactory) -> None:
    """There a browser's `/` is what was consumed."""
    with served(tmp_path_factory.mktemp("served"), ROLE="consumer", API_TOKEN=TOKEN, API_TOKEN_FOR="everything") as worker:
        assert worker.get("/", Accept="text/html").status == 401


def test_workers_read_each_others_rows(worker: Served, tmp_path_factory: pytest.TempPathFactory) -> None:
    """With what API_TOKEN makes of the row's address: it opens that address alone, and is not the token."""
    url = f"http://127.0.0.1:{worker.port}"
    bearer = f"Bearer {TOKEN}"
    with served(tmp_path_factory.mktemp("asking"), let_own_partition_0, url, API_TOKEN=TOKEN, API_TOKEN_FOR="everything") as other:
        for path in ("/events/k", "/events/a%2Fb", "/table/events/k/"):
            assert other.get(path, Authorization=bearer).status == 200, path
        assert other.get("/events/nothing", Authorization=bearer).status == 404
    with served(tmp_path_factory.mktemp("stranger"), let_own_partition_0, url, API_TOKEN="another", API_TOKEN_FOR="everything") as other:
        assert other.get("/events/k", Authorization="Bearer another").status == 503


def test_what_one_worker_sends_opens_no_other_address(worker: Served) -> None:
    """Nor that address without `?local`, by which a worker would ask others in turn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "API_TOKEN", TOKEN)
        sent = authorization("/events/k")

    assert worker.get("/events/k?local", Authorization=sent).status == 200
    assert TOKEN not in sent
    for path in ("/events/k", "/events?local", "/events/a%2Fb?local", "/status?local"):
        assert worker.get(path, Authorization=sent).status == 401
