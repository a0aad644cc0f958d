"""The bench's client against a server that stands still for a moment."""

import asyncio

import pytest

from bench.load import post

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
    """At 200 a second a second's stand-still makes about 200 events slow, also with few connections."""
    took_us = asyncio.run(post_to_a_server_that_freezes(count=400, connections=5, rate=200))

    assert sum(us > 50_000 for us in took_us) == pytest.approx(190, abs=30)
    assert max(took_us) == pytest.approx(1e6, abs=2e5)


def test_without_a_rate() -> None:
    """The negative control: where each connection waits for its answer, as many events are slow as there are connections."""
    took_us = asyncio.run(post_to_a_server_that_freezes(count=800, connections=5))

    assert sum(us > 50_000 for us in took_us) == 5
