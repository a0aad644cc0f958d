"""`/events` and `/events/{key}`: the rows of this worker, and one row from whichever worker has it."""

import asyncio
from contextlib import suppress
from typing import cast
from urllib.parse import quote

import orjson
from aiohttp.web import Request, Response
from faust.web import View
from yarl import URL

from labapp.app import app, event_table
from labapp.consume.feed import FEED
from labapp.event.rows import newest_first
from labapp.patched.faust_router import Router
from labapp.readiness import ensure_restored
from labapp.web.answers import ANSWER_BYTES_MOST, Refused, json_list_response, own_turn
from labapp.web.requests import cursor, wait_seconds, whole_number
from labapp.web.shapes import ROWS_DEFAULT, ROWS_MAX

# While a client waits for an event, the other workers are asked this often; this worker's own rows tell by themselves.
OTHERS_AGAIN_SECONDS = 0.25


@app.page("/events")
class Events(View):
    async def get(self, request: Request) -> Response:
        ensure_restored()
        limit = whole_number(request, "limit", ROWS_DEFAULT, 1, ROWS_MAX)
        before = cursor(request, "before")
        async with own_turn():
            rows, following = newest_first(event_table.owned, limit, before, ANSWER_BYTES_MOST)
        return json_list_response(b'{"events":[', rows, b'],"next":%s}' % orjson.dumps(following))


@app.page("/events/{key:.+}")
class Event(View):
    async def get(self, request: Request, key: str) -> Response:
        """With `Prefer: wait=5` it waits for an event that is not recorded yet, so that whoever just posted it need not ask again."""
        ensure_restored()
        wait, loop = wait_seconds(request), asyncio.get_running_loop()
        deadline = loop.time() + wait
        while True:
            news = FEED.news()
            try:
                return Response(body=await find(key, "local" in request.query), content_type="application/json", headers=applied(wait))
            except Refused as exc:
                if exc.status != 404 or loop.time() >= deadline:
                    raise
            with suppress(TimeoutError):
                async with asyncio.timeout(min(OTHERS_AGAIN_SECONDS, deadline - loop.time())):
                    await news.wait()


def applied(wait: int) -> dict[str, str]:
    return {"Preference-Applied": f"wait={wait}"} if wait else {}


async def find(key: str, local: bool) -> bytes:
    """The row, from this worker or, unless `local`, from another one. Raises Refused."""
    try:
        return event_table.row(key)
    except KeyError:
        if local:
            raise Refused(404, f"No event with the key {key!r} is kept by this worker.") from None
    return await ask_others(key)


async def ask_others(key: str) -> bytes:
    """The row from the worker of the group that has it. Raises Refused.

    All workers are asked. Kafka's own hash of the key does not tell the partition, since other programs may choose another one.
    """
    others = [URL(url) for url in app.assignor.tables_metadata() if URL(url) != app.conf.canonical_url]
    path = f"/events/{quote(key, safe='')}"
    answers = await asyncio.gather(*(cast(Router, app.router).ask(worker, path) for worker in others))
    for status, body in answers:
        if status == 200:
            return body
    if any(status != 404 for status, _ in answers):
        raise Refused(503, "Another worker of the group, which may have the event, could not be asked.", retry_after_seconds=1)
    raise Refused(404, f"No event with the key {key!r} is kept.")
