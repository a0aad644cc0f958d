"""A TCP proxy that fails when told to: the network between the workers and the brokers, one listener a broker.

All listeners run in one thread of their own, so that they go on while a test waits.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from enum import Enum
from typing import Any, TypeVar

T = TypeVar("T")

LATENCY_SECONDS = 0.2
BYTES_PER_SECOND = 256 * 1024
CHUNK_BYTES = 64 * 1024


class Trouble(Enum):
    NONE = "none"
    # Connections are closed, and new ones refused.
    CUT = "cut"
    # Connections are reset (RST), new ones as soon as they send something.
    RESET = "reset"
    # Connections stay open and new ones are accepted, but what is sent is dropped. The end of the trouble resets those that lost something.
    HALF_OPEN = "half open"
    # In each direction every chunk waits for LATENCY_SECONDS, and for its share of BYTES_PER_SECOND.
    SLOW = "slow"


class Network:
    """Forwards `routes`: by name the port on which it listens, and the port to which it connects, both on 127.0.0.1."""

    def __init__(self, routes: Mapping[str, tuple[int, int]]) -> None:
        self._listeners = {name: _Listener(port, target) for name, (port, target) in routes.items()}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network")

    def __enter__(self) -> "Network":
        self._thread.start()
        try:
            for listener in self._listeners.values():
                self._run(listener.listen())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for listener in self._listeners.values():
            self._run(listener.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def trouble(self, kind: Trouble, *names: str) -> None:
        """From now on this is what these listeners do, until they are told something else. Without names: all of them."""
        for name in names or self._listeners:
            self._run(self._listeners[name].change(kind))

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)


class _Connection:
    """Both ends of what a client opened; `lost`: bytes of it, or its end, were dropped, so that it can't go on."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self.writers, self.lost = list(writers), False

    def close(self) -> None:
        for writer in self.writers:
            writer.close()

    def reset(self) -> None:
        for writer in self.writers:
            with suppress(OSError):  # closed already
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


class _Listener:
    def __init__(self, port: int, target: int) -> None:
        self._port, self._target, self._trouble = port, target, Trouble.NONE
        self._server: asyncio.Server | None = None
        self._connections: dict[_Connection, asyncio.Task[Any] | None] = {}

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)

    async def close(self) -> None:
        self._stop_listening()
        for connection in self._connections:
            connection.reset()
        tasks = [task for task in self._connections.values() if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # for the transports' own end

    async def change(self, kind: Trouble) -> None:
        self._trouble = kind
        for connection in list(self._connections):
            if kind is Trouble.RESET or (connection.lost and kind is not Trouble.HALF_OPEN):
                self._end(connection, reset=True)
            elif kind is Trouble.CUT:
                self._end(connection)
        if kind is Trouble.CUT:
            self._stop_listening()
        elif self._server is None:
            await self.listen()

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _end(self, connection: _Connection, reset: bool = False) -> None:
        connection.reset() if reset else connection.close()
        if task := self._connections.pop(connection, None):
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(writer)
        self._connections[connection] = asyncio.current_task()
        try:
            await self._forward(connection, reader, writer)
        except asyncio.CancelledError:
            pass  # by `change` or `close`, which have ended the connection
        except OSError:
            connection.reset()
        finally:
            self._connections.pop(connection, None)
            connection.close()

    async def _forward(self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._trouble is Trouble.HALF_OPEN:  # even where nobody listens at the other side
            connection.lost = True
            await asyncio.get_running_loop().create_future()
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        connection.writers.append(there_writer)
        pumps = [asyncio.create_task(self._pump(connection, *ends)) for ends in ((reader, there_writer), (there_reader, writer))]
        try:
            done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in done:
                pump.result()
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forwards one direction until its end. Kafka's clients never close one direction alone."""
        while data := await self._read(reader):
            if self._trouble is Trouble.SLOW:
                await asyncio.sleep(LATENCY_SECONDS + len(data) / BYTES_PER_SECOND)
            if self._trouble is Trouble.RESET:
                connection.reset()
                return
            if self._trouble is Trouble.HALF_OPEN:
                connection.lost = True
            else:
                writer.write(data)
                await writer.drain()
        if self._trouble is Trouble.HALF_OPEN:
            connection.lost = True
            await asyncio.get_running_loop().create_future()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.read(CHUNK_BYTES)
        except OSError:  # reset by that side
            if self._trouble is Trouble.HALF_OPEN:
                return b""
            raise
