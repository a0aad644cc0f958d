"""The bench: its client against a server that stands still for a moment, and its report."""

import asyncio

import orjson
import pytest
from aiokafka import ConsumerRecord

from bench.brokers import event
from bench.listen import Stream
from bench.load import post
from bench.programs import limit
from bench.report import markdown
from bench.run import Size
from labapp.event.row import row_of
from labapp.event.stages import LOG_APPEND_TIME

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
FROZEN_AFTER_SECONDS, FROZEN_SECONDS = 0.3, 1.0


async def post_to_a_server_that_freezes(**options: int) -> list[int]:
    """Microseconds from due to answer, by a server that answers in 2 ms, but from 0.3 s after the first request on nothing for 1 s."""
    thawed = asyncio.Event()
    thawed.set()
    freezing: list[asyncio.TimerHandle] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readline():
            if not freezing:
                loop = asyncio.get_running_loop()
                freezing.append(loop.call_later(FROZEN_AFTER_SECONDS, thawed.clear))
                freezing.append(loop.call_later(FROZEN_AFTER_SECONDS + FROZEN_SECONDS, thawed.set))
            if head.lower().startswith(b"content-length: "):
                await reader.readexactly(2 + int(head[16:]))
                await asyncio.sleep(0.002)
                await thawed.wait()
                writer.write(ANSWER)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        posted = await asyncio.to_thread(post, server.sockets[0].getsockname()[1], stamps=True, **options)
    assert (posted.answered, len(posted.due_us)) == (options["count"], options["count"])
    return posted.took_us


def test_at_a_rate() -> None:
    """At 200 a second a second's stand-still makes about 200 events slow, also with few connections; half of them by over 0.5 s."""
    took_us = asyncio.run(post_to_a_server_that_freezes(count=400, connections=5, rate=200))

    assert sum(us > 50_000 for us in took_us) >= 170
    assert 80 <= sum(us > 500_000 for us in took_us) <= 200
    assert max(took_us) > 900_000


def test_without_a_rate() -> None:
    """The negative control: where each connection waits for its answer, as many events are slow as there are connections."""
    took_us = asyncio.run(post_to_a_server_that_freezes(count=800, connections=5))

    assert sum(us > 500_000 for us in took_us) == 5


def test_report() -> None:
    """The report has each figure once, and of each target whose figures were found the ratio of the medians, and whether it is met."""
    size = Size(3, 1, 1, 1, 1, 1, 1, (1, 2))
    figures = {
        ("recording", "ours", "events/s"): [90_000.0, 100_000.0, 80_000.0],
        ("recording", "Quix Streams with state", "events/s"): [30_000.0, 45_000.0, 40_000.0],
        ("start", "make run, warm, until ready", "s"): [3.0, 3.5, 4.5],
    }

    lines = markdown(figures, size, "2 cores.", 600).splitlines()

    assert "| recording: ours / Quix Streams with state | 2.25 [2.00 – 3.00] | ≥ 2.5 | below |" in lines
    assert "| make run, warm, until ready, s | 3.50 [3.00 – 4.50] | ≤ 4 | met |" in lines
    assert "| recording: ours / Faust's idiom | – | ≥ 25 | not found |" in lines
    assert "| recording | ours | 90,000 [80,000 – 100,000] | events/s |" in lines
    assert sum(line.startswith("| recording |") for line in lines) == 2


@pytest.mark.parametrize("size", [1, 3, 7, 8, 1000])
def test_rows_of_a_stream(size: int) -> None:
    """Each row is counted once, however the stream comes in pieces."""
    stream = Stream(b"", most=None)
    text = b": the rows\n\n" + b'id: 1;0:1\ndata: {"key":"data: "}\n\n' * 100

    for start in range(0, len(text), size):
        stream.data_received(text[start : start + size])

    assert stream.rows == 100


def test_the_limit_writes_our_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The changelog messages of the limit with our rows are those of the app, byte for byte; a row beyond those kept gets a tombstone."""
    monkeypatch.setattr(limit, "ROWS_KEPT", 2)
    records = []
    for offset in range(3):
        key, value, headers = event(offset, 1_764_000_000_872_000)
        records.append(
            ConsumerRecord(
                "first-topic", 1, offset, 1_764_000_000_874, LOG_APPEND_TIME, key, value, None, len(key), len(value), tuple(headers)
            )
        )
    rows: dict[bytes, object] = {}

    found = list(limit.messages(records, rows))

    consumed_us = orjson.loads(found[0][1] or b"")["stages"]["consumed_us"]
    ours = [(record.key, row_of(record, consumed_us)[1]) for record in records]
    assert found == [*ours, (records[0].key, None)]
    assert list(rows) == [record.key for record in records[1:]]
