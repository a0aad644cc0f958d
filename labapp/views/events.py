"""The read side: liveness and readiness, and the rows."""

import asyncio
import re
from collections.abc import Iterator
from heapq import merge
from itertools import dropwhile, islice
from urllib.parse import quote

import orjson
from aiohttp import ClientError, ClientTimeout
from aiohttp.web import Request, Response
from faust.web import View
from yarl import URL

from labapp import settings
from labapp.app import app, events
from labapp.event.row import offset_of
from labapp.patched.faust_table import Rows
from labapp.readiness import reasons_not_ready, restored
from labapp.web.middleware import Refused, json_response

LIMIT_DEFAULT = 100
LIMIT_MAX = 1000
OTHER_WORKER_TIMEOUT_SECONDS = 3


@app.page("/ping")
class Ping(View):
    async def get(self, request: Request) -> Response:
        return Response(text=f"pong:{settings.CONSUMER_GROUP}" if settings.CONSUMES else "pong")


@app.page("/health/live")
class Live(View):
    """The event loop turns: that there is an answer says it."""

    async def get(self, request: Request) -> Response:
        return json_response({"status": "live"})


@app.page("/health/ready")
class Ready(View):
    async def get(self, request: Request) -> Response:
        reasons = await reasons_not_ready()
        return json_response({"status": "not ready" if reasons else "ready", "reasons": reasons}, 503 if reasons else 200)


@app.page("/events")
class Events(View):
    async def get(self, request: Request) -> Response:
        ensure_restored()
        limit = request.query.get("limit", str(LIMIT_DEFAULT))
        if not limit.isdecimal() or not 1 <= int(limit[:9]) <= LIMIT_MAX:
            raise Refused(400, f"limit is a whole number from 1 to {LIMIT_MAX}.")
        rows, cursor = newest_first(int(limit), parse_cursor(request.query.get("before")))
        return json_response({"events": [orjson.Fragment(row) for row in rows], "next": cursor})


@app.page("/events/{key:.+}")
class Event(View):
    async def get(self, request: Request, key: str) -> Response:
        ensure_restored()
        try:
            return Response(body=events.row(key), content_type="application/json")
        except KeyError:
            if "local" in request.query:
                raise Refused(404, f"No event with the key {key!r} is kept by this worker.") from None
        return await ask_others(key)


def ensure_restored() -> None:
    if not settings.CONSUMES:
        raise Refused(404, "This worker only produces (ROLE=producer): ask a consumer for events.")
    if not restored():
        raise Refused(503, "The partitions are being assigned, or the table is being restored.", retry_after_seconds=1)


Cursor = dict[int, int]


def parse_cursor(text: str | None) -> Cursor:
    """A cursor is `partition:offset,…`: of each partition, what is below the offset comes next."""
    if text is None:
        return {}
    if not re.fullmatch(r"\d{1,9}:\d{1,18}(,\d{1,9}:\d{1,18})*", text):
        raise Refused(400, "before is a cursor, as the field next of an earlier answer gave it.")
    return {int(partition): int(offset) for partition, _, offset in (part.partition(":") for part in text.split(","))}


def newest_first(limit: int, below: Cursor) -> tuple[list[bytes], str | None]:
    """The newest rows of this worker's partitions by arrival, and the cursor to go on from; None where nothing older is kept."""
    position = {
        partition: min(below.get(partition, newest + 1), newest + 1)
        for partition, rows in events.owned.items()
        if rows and (newest := offset_of(next(reversed(rows.values())))) >= 0
    }
    older = [_below(end, events.owned[partition]) for partition, end in position.items()]
    merged = merge(*older, key=_arrival_us, reverse=True)
    page = list(islice(merged, limit))
    for row in page:
        decoded = orjson.loads(row)
        position[decoded["partition"]] = decoded["offset"]
    more = next(merged, None) is not None
    return page, ",".join(f"{partition}:{offset}" for partition, offset in sorted(position.items())) if more else None


def _below(end: int, rows: Rows) -> Iterator[bytes]:
    return dropwhile(lambda row: offset_of(row) >= end, reversed(rows.values()))


def _arrival_us(row: bytes) -> int:
    stages = orjson.loads(row)["stages"]
    return stages["appended_us"] or stages["consumed_us"]


async def ask_others(key: str) -> Response:
    """The row from the group's worker that has it. All are asked: which one it is, only the key's producer knows for sure.

    Records of others may have been put into a partition that Kafka's own hash of the key would not choose.
    """
    others = [url for url in app.assignor.tables_metadata() if URL(url) != app.conf.canonical_url]
    answers = await asyncio.gather(*(_ask(url, key) for url in others))
    for status, body in answers:
        if status == 200:
            return Response(body=body, content_type="application/json")
    if any(status != 404 for status, _ in answers):
        raise Refused(503, "Another worker of the group, which may have the event, could not be asked.", retry_after_seconds=1)
    raise Refused(404, f"No event with the key {key!r} is kept.")


async def _ask(url: str, key: str) -> tuple[int, bytes]:
    """Status (0: no answer) and body."""
    address = URL(f"{url}/events/{quote(key, safe='')}?local", encoded=True)
    try:
        async with app.http_client.get(address, timeout=ClientTimeout(OTHER_WORKER_TIMEOUT_SECONDS)) as response:
            return response.status, await response.read()
    except (ClientError, TimeoutError, OSError):
        return 0, b""
