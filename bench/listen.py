"""Clients of an event stream: a process of its own, which reads streams of rows and counts the rows.

`python -m bench.listen --port 8000 --streams 20 --seconds 10` listens for 10 s. `--rows 1000` ends earlier, once each stream has brought so
many. `--after` is the id after which the streams begin. Without it they bring what is recorded from now on. It prints JSON: `rows` of all
streams together, in `seconds` from the request to the last row.
"""

import argparse
import asyncio
import json
import time

ROW = b"\ndata: "


class Stream(asyncio.Protocol):
    def __init__(self, request: bytes, most: int | None) -> None:
        self._request, self._most = request, most
        self.rows, self.last_at, self._tail = 0, 0.0, b""
        self.over = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        data = self._tail + data  # a row's mark may come in two parts
        if found := data.count(ROW):
            self.rows, self.last_at = self.rows + found, time.monotonic()
        self._tail = data[-len(ROW) + 1 :]
        if self._most is not None and self.rows >= self._most:
            self.over.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.over.set()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--after", default="")
    arguments = parser.parse_args()
    query = f"?after={arguments.after}" if arguments.after else ""
    request = f"GET /events/stream{query} HTTP/1.1\r\nHost: localhost:{arguments.port}\r\n\r\n".encode()

    loop, began = asyncio.get_running_loop(), time.monotonic()
    opened = [
        loop.create_connection(lambda: Stream(request, arguments.rows), "127.0.0.1", arguments.port) for _ in range(arguments.streams)
    ]
    streams = [stream for _, stream in await asyncio.gather(*opened)]
    await asyncio.wait([asyncio.ensure_future(stream.over.wait()) for stream in streams], timeout=arguments.seconds)
    seconds = max(stream.last_at for stream in streams) - began
    print(json.dumps({"rows": sum(stream.rows for stream in streams), "seconds": seconds}))


if __name__ == "__main__":
    asyncio.run(main())
