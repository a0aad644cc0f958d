"""`/events` and `/events/{key}`: the rows of this worker, and one row from whichever worker has it."""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from typing import cast
from urllib.parse import quote

import orjson
from aiohttp.web import Request, Response
from aiokafka.partitioner import DefaultPartitioner
from faust.web import View
from yarl import URL

from labapp import settings
from labapp.app import app, event_table
from labapp.consume.feed import FEED
from labapp.event.rows import newest_first
from labapp.patched.faust_router import Router
from labapp.readiness import ensure_restored
from labapp.topics import CHANGELOG
from labapp.web.answers import ANSWER_BYTES_MOST, Refused, json_list_response, own_turn
from labapp.web.requests import cursor, wait_seconds, whole_number
from labapp.web.shapes import ROWS_DEFAULT, ROWS_MAX

# How often the other workers are asked while a client waits for an event. This worker's own rows wake the client.
OTHERS_AGAIN_SECONDS = 0.25
# The key of a record that has none, or whose key is in use (event/row.py).
_OF_OFFSET = re.compile(rf"{re.escape(settings.KAFKA_TOPIC)}-(\d{{1,9}})-\d+", re.ASCII)


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
        """With `Prefer: wait=5` it waits for an event that is not recorded yet. So a client that just posted it need not ask again."""
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

    The owner of the key's likely partition is asked first. All others are asked only if it has no row, because other programs may choose
    another partition.
    """
    owned = {URL(url): topics.get(CHANGELOG, []) for url, topics in app.assignor.tables_metadata().items()}
    likely = likely_partition(key, sorted(chain.from_iterable(owned.values())))
    others = [worker for worker in owned if worker != app.conf.canonical_url]
    path, answers = f"/events/{quote(key, safe='')}", list[tuple[int, bytes]]()
    for is_owner in (True, False):
        asked = [worker for worker in others if (likely in owned[worker]) is is_owner]
        answers += await asyncio.gather(*(cast(Router, app.router).ask(worker, path) for worker in asked))
        for status, body in answers:
            if status == 200:
                return body
    if any(status != 404 for status, _ in answers):
        raise Refused(503, "Another worker of the group, which may have the event, could not be asked.", retry_after_seconds=1)
    raise Refused(404, f"No event with the key {key!r} is kept.")


def likely_partition(key: str, partitions: Sequence[int]) -> int | None:
    """Where Kafka's default partitioner puts the key, or the partition that is part of the key. None if there are no partitions."""
    if of_offset := _OF_OFFSET.fullmatch(key):
        return int(of_offset[1])
    return DefaultPartitioner()(key.encode(), partitions, partitions) if partitions else None
