"""The HTTP client of all candidates. It is a process of its own, posts events over keep-alive connections, and prints the results.

With `--keys FILE` it instead asks for the events with these keys, one a line, again and again.

`python -m bench.client --port 5000 --connections 64 --seconds 6`: each connection posts the next event when the last is answered.
`--count 1000` ends after so many events. `--rate 200` posts so many a second, whatever the answers. It prints JSON: `answered` in
`seconds`, and `refused` (not 200). With `--stamps` it adds `due_us` by id: when each event was due, in microseconds since the epoch.
`took_us` then has the microseconds from there to each answer.

At a rate an event is due by the schedule, even if no connection is free. Else a server that stands still for a second would slow down only
the events under way (coordinated omission). Without a rate an event is due when it is sent.

It reads only the status and the length of an answer, so that it needs a fraction of the CPU of any server.
"""

import argparse
import asyncio
import json
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

GET = b"GET /events/%s HTTP/1.1\r\nHost: localhost:%d\r\n\r\n"
HEAD = "POST / HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/json\r\nContent-Length: "


@dataclass
class Client:
    port: int
    first_id: int
    limit: int | None
    stamps: bool
    answered: int = 0
    refused: int = 0
    under_way: int = 0
    ended: bool = False
    due_us: dict[int, int] = field(default_factory=dict)
    took_us: list[int] = field(default_factory=list)
    idle: deque["Connection"] = field(default_factory=deque)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    rated: bool = False
    keys: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._head = HEAD.format(port=self.port).encode()
        self._id = self.first_id
        self._connecting: set[asyncio.Task[None]] = set()

    def next_request(self, due_us: int) -> bytes:
        number, self._id = self._id, self._id + 1
        if self.stamps:
            self.due_us[number] = due_us
        if self.keys:
            return GET % (self.keys[number % len(self.keys)], self.port)
        body = b'{"id":%d,"clicked":%d}' % (number, due_us // 1000)
        return b"%s%d\r\n\r\n%s" % (self._head, len(body), body)

    def may_post(self) -> bool:
        if self.limit is not None and self._id - self.first_id >= self.limit:
            self.ended = True
        return not self.ended

    async def connect(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: Connection(self), "127.0.0.1", self.port)

    def connect_anew(self) -> None:
        task = asyncio.ensure_future(self.connect())
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def post(self, connection: "Connection", due_us: int) -> None:
        self.under_way += 1
        connection.post(self.next_request(due_us), due_us)

    def free(self, connection: "Connection") -> None:
        """Gives a free connection its next request, at once or when the request is due."""
        if self.rated:
            self.idle.append(connection)
        elif self.may_post():
            self.post(connection, now_us())
        self.check()

    def check(self) -> None:
        if self.ended and not self.under_way:
            self.over.set()


class Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, client: Client) -> None:
        self._client, self._buffer, self._waiting, self._due_us = client, b"", False, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._client.free(self)

    def post(self, request: bytes, due_us: int) -> None:
        self._waiting, self._due_us = True, due_us
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        head = head.lower()
        if len(body) < int(head.partition(b"content-length:")[2].partition(b"\r")[0]):
            return
        self._buffer, self._waiting = b"", False
        self._client.under_way -= 1
        if head[9:12] == b"200":
            self._client.answered += 1
            if self._client.stamps:
                self._client.took_us.append(now_us() - self._due_us)
        else:
            self._client.refused += 1
        if b"connection: close" in head:  # then the server ends it, and connection_lost goes on
            self.transport.close()
        else:
            self._client.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self._client.idle:
            self._client.idle.remove(self)
        if self._waiting:
            self._client.under_way -= 1
            self._client.refused += 1
        if not self._client.ended:
            self._client.connect_anew()
        self._client.check()


def now_us() -> int:
    return time.time_ns() // 1000


async def at_a_rate(client: Client, rate: float) -> None:
    began, began_us, posted = time.monotonic(), now_us(), 0
    while client.may_post():
        due = int((time.monotonic() - began) * rate)
        while posted < due and client.idle and client.may_post():
            posted += 1
            client.post(client.idle.popleft(), began_us + int(posted * 1e6 / rate))
        await asyncio.sleep(max(0.0005, began + (posted + 1) / rate - time.monotonic()))
    client.check()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--count", type=int)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--first-id", type=int, default=0)
    parser.add_argument("--stamps", action="store_true")
    parser.add_argument("--keys", type=Path)
    arguments = parser.parse_args()
    client = Client(arguments.port, arguments.first_id, arguments.count, arguments.stamps, rated=arguments.rate is not None)

    if arguments.keys:
        client.keys = arguments.keys.read_bytes().split()

    began = time.monotonic()
    await asyncio.gather(*(client.connect() for _ in range(arguments.connections)))
    pace = asyncio.create_task(at_a_rate(client, arguments.rate)) if arguments.rate else None
    try:
        await asyncio.wait_for(client.over.wait(), arguments.seconds)
        seconds, answered = time.monotonic() - began, client.answered
    except TimeoutError:  # the time is over: what is still under way gets its answer, but does not count
        seconds, answered, client.ended = time.monotonic() - began, client.answered, True
        client.check()
        await asyncio.wait_for(client.over.wait(), 20)
    if pace is not None:
        await pace
    found = {"answered": answered, "seconds": seconds, "refused": client.refused, "due_us": client.due_us, "took_us": client.took_us}
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main())
