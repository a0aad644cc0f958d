"""`/events/stream`: the rows of this worker as they are recorded, as server-sent events."""

import asyncio
import re

import orjson
from aiohttp import web
from aiohttp.web import Request
from aiohttp_sse import EventSourceResponse, sse_response
from faust.web import View

from labapp.app import app, event_table
from labapp.consume.changes import oldest_kept
from labapp.consume.feed import FEED
from labapp.event import offsets
from labapp.event.offsets import Offsets
from labapp.event.row import offset_of, stages_of
from labapp.event.rows import Rows, from_offset, newest_offset
from labapp.event.stages import now_us
from labapp.readiness import ensure_consumes, restored
from labapp.web.answers import Refused, own_turn

PING_SECONDS = 15
# The most rows and bytes in one write to one client. A slow client holds no more than this in memory, except for one row that is larger.
ROWS_A_WRITE = 500
BYTES_A_WRITE = 250_000
# How many rows are read before other tasks have their turn.
ROWS_A_STEP = 1000
# The most streams open at once. Each may hold a write in memory, and reads the table after each change.
STREAMS_MOST = 100
WRITE_INTERVAL_SECONDS = 0.05

_POSITION = re.compile(rf"(?P<since_us>\d{{1,16}});(?P<following>({offsets.PATTERN})?)", re.ASCII)


@app.page("/events/stream")
class Stream(View):
    async def get(self, request: Request) -> EventSourceResponse:
        ensure_consumes()
        # A page can't give an EventSource a header, so it uses the query.
        position = Position.parse(request.headers.get("Last-Event-ID") or request.query.get("after"))
        if len(STREAMS.open) >= STREAMS_MOST:
            raise Refused(503, f"{STREAMS_MOST} streams are open, and this worker has no more at once.", retry_after_seconds=5)
        async with sse_response(request, sep="\n", ping_interval=PING_SECONDS, send_timeout=None) as response:
            STREAMS.open.add(response)
            try:
                await _send_rows(response, position)
            except ConnectionError:
                pass  # the client went away; it goes on from its last id
            finally:
                STREAMS.open.discard(response)
        return response


class Streams:
    """The open streams. They end when the worker stops: aiohttp would wait a minute for them."""

    def __init__(self) -> None:
        self.open: set[EventSourceResponse] = set()

    async def end(self, _: web.Application) -> None:
        for response in list(self.open):
            response.stop_streaming()
        FEED.tell()


STREAMS = Streams()
app.web.web_app.on_shutdown.append(STREAMS.end)  # type: ignore[attr-defined]


async def _send_rows(response: EventSourceResponse, position: "Position") -> None:
    await response.write(b": the newest rows of this worker, as they are recorded\n\n")  # for some clients a stream is open only then
    told = False
    while response.is_connected():
        news = FEED.news()
        if restored():
            await position.add_new(event_table.owned)
            async with own_turn():
                messages = position.take(event_table.owned) + position.take_again(event_table.owned)
            if not told:
                told = True
                messages = b"id: %s\n\n" % str(position).encode() + messages
            if messages:
                await response.write(messages)
                if len(messages) < BYTES_A_WRITE / 2:  # else more rows wait already
                    await asyncio.sleep(WRITE_INTERVAL_SECONDS)
                continue
        try:
            async with asyncio.timeout(1):  # partitions come and go without news
                await news.wait()
        except TimeoutError:
            pass


class Position:
    """Where a client is in the stream: the next offset of each partition, and since when it listens.

    As text it is the id of each message: `since_us;partition:offset,...`. Offsets mean the same to each worker that owns the partition,
    and after a restart. So `Last-Event-ID` resumes without gaps and duplicates, as long as the table keeps the rows.
    """

    def __init__(self, since_us: int, following: Offsets | None = None) -> None:
        self.since_us = since_us
        self._new = following is None
        self._served_last = -1
        self._again = FEED.again_count
        self.following = following or {}

    @classmethod
    def parse(cls, text: str | None) -> "Position":
        """The position of an id. Without an id it is now. Raises Refused."""
        if not text:
            return cls(now_us())
        if not (found := _POSITION.fullmatch(text)):
            raise Refused(400, "Last-Event-ID is not an id that this stream gave.")
        return cls(int(found["since_us"]), offsets.parse(found["following"]) if found["following"] else {})

    def __str__(self) -> str:
        return f"{self.since_us};{offsets.to_text(self.following)}"

    async def add_new(self, partitions: dict[int, Rows]) -> None:
        """Adds the partitions that were not there before.

        A new client gets what is recorded from now on. A client that resumes gets what was consumed since it began to listen.
        """
        for partition in partitions.keys() - self.following.keys():
            in_order = list(partitions[partition].values())
            while in_order and not self._new and (stages_of(in_order[-1])["consumed_us"] or 0) >= self.since_us:
                in_order.pop()
                if len(in_order) % ROWS_A_STEP == 0:
                    await asyncio.sleep(0)
            self.following[partition] = offset_of(in_order[-1]) + 1 if in_order else 0
        self._new = False

    def take(self, partitions: dict[int, Rows]) -> bytes:
        """The next rows as messages, for one write. Moves the position behind them.

        If rows may have expired before they were sent, a message of the type `gap` comes first, with the range of their offsets. The
        partition that was served last has its turn last, so that a partition with many rows does not keep the others waiting.
        """
        messages, size = list[bytes](), 0
        for partition in sorted(
            partitions.keys() & self.following.keys(), key=lambda partition: (partition <= self._served_last, partition)
        ):
            if self.following[partition] > (newest_offset(partitions[partition]) + 1 if partitions[partition] else 0):
                self.following[partition] = 0  # the topic was recreated, so its offsets begin again
            if (oldest := oldest_kept(partitions[partition])) is not None and self.following[partition] < oldest:
                gap = orjson.dumps({"partition": partition, "from": self.following[partition], "to": oldest})
                self.following[partition] = oldest
                messages.append(b"id: %s\nevent: gap\ndata: %s\n\n" % (str(self).encode(), gap))
            for row in from_offset(partitions[partition], self.following[partition], ROWS_A_WRITE - len(messages)):
                size += len(row)
                if messages and size > BYTES_A_WRITE:
                    return b"".join(messages)
                self.following[partition] = offset_of(row) + 1
                self._served_last = partition
                messages.append(b"id: %s\ndata: %s\n\n" % (str(self).encode(), _line(row)))
            if len(messages) == ROWS_A_WRITE:
                break
        return b"".join(messages)

    def take_again(self, partitions: dict[int, Rows]) -> bytes:
        """The rows that were delivered again since the last call, as messages of the type `again`. Their id is the unchanged position.

        Rows that the client has not got yet are left out, because they come in their present state. If there are very many, the oldest
        are left out.
        """
        messages, size = list[bytes](), 0
        new = FEED.again_since(self._again)
        self._again = FEED.again_count - len(new)
        for partition, key in new:
            row = partitions[partition].get(key) if partition in partitions else None
            if row is not None and offset_of(row) < self.following.get(partition, 0):
                size += len(row)
                if messages and size > BYTES_A_WRITE:
                    break
                messages.append(b"id: %s\nevent: again\ndata: %s\n\n" % (str(self).encode(), _line(row)))
            self._again += 1
        return b"".join(messages)


def _line(row: bytes) -> bytes:
    """The row in one line. Its JSON has line breaks only between tokens."""
    return row.replace(b"\n", b" ").replace(b"\r", b" ")
