"""One event by its key, also one that is not recorded yet."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from tests.unit.records import Record
from tests.unit.served import Served, served

COMES_AFTER_SECONDS = 0.5


def record_one_later() -> None:
    """An event that is recorded half a second after the worker serves."""
    from labapp.app import app, event_table
    from labapp.consume.feed import FEED
    from labapp.event.row import row_of
    from labapp.event.rows import Rows

    async def record(_: object) -> None:
        async def later() -> None:
            await asyncio.sleep(COMES_AFTER_SECONDS)
            event_table.owned[0] = Rows(dict([row_of(Record(key=b"soon"), 1_764_000_000_000_000)]))
            FEED.tell()

        app.later = asyncio.ensure_future(later())  # type: ignore[attr-defined]  # kept, so that it is not collected

    app.web.web_app.on_startup.append(record)


@pytest.fixture
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served"), record_one_later) as found:
        yield found


def test_a_client_may_wait_for_an_event(worker: Served) -> None:
    """It is answered as soon as the event is recorded, and told that it was waited."""
    assert worker.get("/events/soon").status == 404
    answer = worker.get("/events/soon", Prefer="respond-async, wait=5")

    assert (answer.status, answer.json["key"], answer.headers["Preference-Applied"]) == (200, "soon", "wait=5")


def test_waiting_ends(worker: Served) -> None:
    """With the 404 that would have come at once; nobody waits who did not ask for it."""
    began = time.monotonic()
    assert worker.get("/events/never", Prefer="wait=1").status == 404
    assert time.monotonic() - began >= 1
    for prefer in ("", "wait", "wait=", "wait=x", "await=9", "wait=-5"):
        assert worker.get("/events/never", Prefer=prefer).status == 404
    assert time.monotonic() - began < 5
