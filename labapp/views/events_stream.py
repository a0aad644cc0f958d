"""What this worker does at this moment: its status, its rows as they are recorded, and where their time went."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice, takewhile

import orjson
from aiohttp import web
from aiohttp.web import Request, Response
from aiohttp_sse import EventSourceResponse, sse_response
from faust.web import View

from labapp import settings
from labapp.app import app, events
from labapp.consume import feed
from labapp.event import gaps as stages
from labapp.event.row import now_us, offset_of
from labapp.patched.faust_table import Rows
from labapp.readiness import restored, stalled
from labapp.views.events import LIMIT_MAX, ensure_restored, newest_first
from labapp.web import shapes
from labapp.web.middleware import Refused, json_response

PING_SECONDS = 15
# A client that takes nothing for so long is given up.
SEND_TIMEOUT_SECONDS = 20
# One write to one client: rows that came together leave together, and a client that is behind holds no more than this in memory.
ROWS_A_WRITE = 500
WRITE_INTERVAL_SECONDS = 0.05

_started_us = now_us()
_streams: set[EventSourceResponse] = set()


@app.page("/status")
class Status(View):
    """For the page, which asks each worker every second: no question to Kafka, and the clock, by which it measures its own."""

    async def get(self, request: Request) -> Response:
        ready = restored()
        return json_response(
            shapes.Status(
                {
                    "role": settings.ROLE,
                    "group": settings.CONSUMER_GROUP if settings.CONSUMES else None,
                    "state": "starting" if not ready else "stalled" if stalled() else "online",
                    "partitions": sorted(events.owned) if settings.CONSUMES and ready else [],
                    "started_us": _started_us,
                    "now_us": now_us(),
                }
            )
        )


@app.page("/stages")
class Stages(View):
    async def get(self, request: Request) -> Response:
        ensure_restored()
        window = request.query.get("window", "500")
        if not window.isdecimal() or not 1 <= int(window[:9]) <= LIMIT_MAX:
            raise Refused(400, f"window is a whole number from 1 to {LIMIT_MAX}.")
        rows, _ = newest_first(int(window), {})
        return json_response(asdict(stages.summary(rows, int(window))))


@app.page("/events/stream")
class Stream(View):
    async def get(self, request: Request) -> EventSourceResponse:
        if not settings.CONSUMES:
            raise Refused(404, "This worker only produces (ROLE=producer): ask a consumer for events.")
        # The query is for a page, which can't give an EventSource a header.
        place = Place.parse(request.headers.get("Last-Event-ID") or request.query.get("after"))
        async with sse_response(request, sep="\n", ping_interval=PING_SECONDS, send_timeout=SEND_TIMEOUT_SECONDS) as response:
            _streams.add(response)
            try:
                await _send_rows(response, place)
            except (ConnectionError, TimeoutError):
                pass  # the client went away; it goes on from its last id
            finally:
                _streams.discard(response)
        return response


async def _send_rows(response: EventSourceResponse, place: "Place") -> None:
    await response.write(b": the newest rows of this worker, as they are recorded\n\n")  # some clients are open only at the first byte
    told = False
    while response.is_connected():
        news = feed.news()
        if restored():
            place.know(events.owned)
            messages = place.take(events.owned)
            if not told:
                told = True
                messages = b"id: %s\n\n" % str(place).encode() + messages
            if messages:
                async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                    await response.write(messages)
                await asyncio.sleep(WRITE_INTERVAL_SECONDS)
                continue
        try:
            async with asyncio.timeout(1):  # partitions come and go without news
                await news.wait()
        except TimeoutError:
            pass


async def _end_streams(_: web.Application) -> None:
    for response in list(_streams):
        response.stop_streaming()
    feed.tell()


# aiohttp would wait for them for a minute.
app.web.web_app.on_shutdown.append(_end_streams)  # type: ignore[attr-defined]


class Place:
    """Where a client is: of each partition the next offset, and for partitions this worker gets later, since when it listens.

    As text it is the id of each message: `since;partition:offset,…`. Offsets mean the same to every worker that ever owns the
    partition and outlive a restart, so `Last-Event-ID` goes on without a gap or a double as long as the table keeps the rows.
    """

    def __init__(self, since_us: int, following: dict[int, int] | None = None) -> None:
        self.since_us = since_us
        self._new = following is None
        self.following = following or {}

    @classmethod
    def parse(cls, text: str | None) -> "Place":
        """The place of an id, or now where there is none."""
        if not text:
            return cls(now_us())
        if not re.fullmatch(r"\d{1,16};(\d{1,9}:\d{1,18}(,\d{1,9}:\d{1,18})*)?", text):
            raise Refused(400, "Last-Event-ID is not an id that this stream gave.")
        since, _, following = text.partition(";")
        parts = (part.partition(":") for part in following.split(",") if part)
        return cls(int(since), {int(partition): int(offset) for partition, _, offset in parts})

    def __str__(self) -> str:
        return f"{self.since_us};{','.join(f'{partition}:{offset}' for partition, offset in sorted(self.following.items()))}"

    def know(self, partitions: dict[int, Rows]) -> None:
        """Takes in the partitions that were not there before: from now on if the client is new, else from when it began to listen."""
        for partition in partitions.keys() - self.following.keys():
            newest_first = reversed(partitions[partition].values())
            seen = next((row for row in newest_first if self._new or orjson.loads(row)["stages"]["consumed_us"] < self.since_us), None)
            self.following[partition] = offset_of(seen) + 1 if seen is not None else 0
        self._new = False

    def take(self, partitions: dict[int, Rows]) -> bytes:
        """The next rows as messages, at most ROWS_A_WRITE of a partition, and moves on behind them."""
        messages = []
        for partition in sorted(partitions.keys() & self.following.keys()):
            before, _, after = str(Place(self.since_us, {**self.following, partition: -1})).partition(f"{partition}:-1")
            for row in islice(_newer(partitions[partition], self.following[partition]), ROWS_A_WRITE):
                self.following[partition] = offset_of(row) + 1
                # Line breaks can only stand between the tokens of JSON that was posted so.
                line = row.replace(b"\n", b" ").replace(b"\r", b" ")
                place = f"{before}{partition}:{self.following[partition]}{after}".encode()
                messages.append(b"id: %s\ndata: %s\n\n" % (place, line))
        return b"".join(messages)


def _newer(rows: Rows, first: int) -> Iterator[bytes]:
    """The rows from the offset `first` on, oldest first."""
    newest_first = takewhile(lambda row: offset_of(row) >= first, reversed(rows.values()))
    return reversed(list(newest_first))
