"""The tests' own network: what a client sees of each trouble, with a server that sends everything back."""

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from tests import proxy
from tests.proxy import Network, Trouble
from tests.worker import free_port


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # the proxy resets connections, which is what is tested


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends everything back."""
    with Server(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def ports() -> dict[str, int]:
    return {"one": free_port(), "other": free_port()}


@pytest.fixture
def network(echo: int, ports: dict[str, int]) -> Iterator[Network]:
    with Network({name: (port, echo) for name, port in ports.items()}) as network:
        yield network


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def echoed(client: socket.socket, data: bytes = b"hello") -> bytes:
    client.sendall(data)
    found = b""
    while len(found) < len(data) and (more := client.recv(65536)):
        found += more
    return found


def test_forwards(network: Network, ports: dict[str, int]) -> None:
    """Without trouble all bytes pass, in both directions and in order."""
    data = bytes(range(256)) * 4000
    with connect(ports["one"]) as client:
        sender = threading.Thread(target=client.sendall, args=(data,))
        sender.start()
        found = b""
        while len(found) < len(data):
            found += client.recv(65536)
        sender.join()

    assert found == data


def test_end_passes(network: Network, ports: dict[str, int]) -> None:
    """The end of one side ends the other."""
    with connect(ports["one"]) as client:
        echoed(client)
        client.shutdown(socket.SHUT_WR)

        assert client.recv(1) == b""


def test_nobody_there(ports: dict[str, int]) -> None:
    """Where the other side listens no more, a connection is reset."""
    with Network({"one": (ports["one"], free_port())}), pytest.raises(ConnectionResetError), connect(ports["one"]) as client:
        client.recv(1)


def test_cut(network: Network, ports: dict[str, int]) -> None:
    """A cut closes connections and refuses new ones, until it ends."""
    with connect(ports["one"]) as client:
        echoed(client)
        network.trouble(Trouble.CUT)

        assert client.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            connect(ports["one"])

    network.trouble(Trouble.NONE)
    with connect(ports["one"]) as client:
        assert echoed(client) == b"hello"


def test_one_alone(network: Network, ports: dict[str, int]) -> None:
    """A trouble of one listener leaves the others alone."""
    with connect(ports["other"]) as client:
        network.trouble(Trouble.CUT, "one")

        assert echoed(client) == b"hello"


def test_reset(network: Network, ports: dict[str, int]) -> None:
    """A reset ends connections with RST, and new ones once they send something."""
    with connect(ports["one"]) as client:
        echoed(client)
        network.trouble(Trouble.RESET)

        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with connect(ports["one"]) as client, pytest.raises(ConnectionResetError):
        echoed(client)


def test_half_open(network: Network, ports: dict[str, int]) -> None:
    """Half open, connections old and new take everything and answer nothing. Those that lost something are reset at the end."""
    with connect(ports["one"]) as old, connect(ports["one"]) as idle:
        echoed(old)
        echoed(idle)
        network.trouble(Trouble.HALF_OPEN)
        with connect(ports["one"]) as new:
            for client in (old, new):
                client.settimeout(0.2)
                client.sendall(b"hello")
                with pytest.raises(TimeoutError):
                    client.recv(1)

            network.trouble(Trouble.NONE)
            for client in (old, new):
                with pytest.raises(ConnectionResetError):
                    client.recv(1)
        assert echoed(idle) == b"hello"


def test_half_open_hides_the_end(ports: dict[str, int]) -> None:
    """Half open, not even the death of the other side is seen."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        Network({"one": (ports["one"], server.getsockname()[1])}) as network,
        connect(ports["one"]) as client,
    ):
        there, _ = server.accept()
        network.trouble(Trouble.HALF_OPEN)
        there.close()

        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_slow(network: Network, ports: dict[str, int]) -> None:
    """Slow, everything arrives, each way later by the latency."""
    with connect(ports["one"]) as client:
        network.trouble(Trouble.SLOW)
        began = time.monotonic()

        assert echoed(client) == b"hello"
        assert time.monotonic() - began >= 2 * proxy.LATENCY_SECONDS
