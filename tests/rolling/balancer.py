"""The load balancer of the producers. It sends posts only to producers that are ready."""

import asyncio
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp

from tests.worker import free_port, request, wait_for

HAPROXY_CFG = Path(__file__).with_name("haproxy.cfg")


@contextmanager
def haproxy(producers: Sequence[int]) -> Iterator[str]:
    """The address of HAProxy in front of these ports. A producer may start later. It gets requests once it is ready."""
    program = shutil.which("haproxy", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if program is None:
        raise SystemExit("HAProxy is not here: on Debian, apt install haproxy.")
    front = free_port()
    servers = "".join(f"  server producer-{number} 127.0.0.1:{port}\n" for number, port in enumerate(producers, 1))
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as configuration:
        configuration.write(HAPROXY_CFG.read_text() + servers)
        configuration.flush()
        process = subprocess.Popen([program, "-db", "-q", "-f", configuration.name], env={**os.environ, "FRONT": str(front)})
        try:
            yield f"http://127.0.0.1:{front}/"
        finally:
            process.terminate()
            process.wait()


def passes(url: str) -> None:
    """Returns once HAProxy forwards requests."""
    port = int(url.rstrip("/").rpartition(":")[2])
    wait_for(lambda: request(port, "GET", "/ping").status == 200, "a producer behind HAProxy")


class Balancer:
    """A client that regularly asks each producer whether it is ready. It uses the ready ones in turn, or all if none was ready."""

    def __init__(self, producers: Sequence[int]) -> None:
        self._ready = list(producers)
        self._turn = itertools.count()

    def url(self) -> str:
        return f"http://127.0.0.1:{self._ready[next(self._turn) % len(self._ready)]}/"

    async def look(self, producers: Sequence[int], every_seconds: float) -> None:
        while True:
            self._ready = [port for port in producers if await _is_ready(port)] or list(producers)
            await asyncio.sleep(every_seconds)


@asynccontextmanager
async def balancer(producers: Sequence[int], every_seconds: float) -> AsyncIterator[Balancer]:
    found = Balancer(producers)
    looking = asyncio.create_task(found.look(producers, every_seconds))
    try:
        yield found
    finally:
        looking.cancel()


async def _is_ready(port: int) -> bool:
    try:
        timeout = aiohttp.ClientTimeout(total=2)
        async with aiohttp.request("GET", f"http://127.0.0.1:{port}/health/ready", timeout=timeout) as answer:
            return answer.status == 200
    except TimeoutError:
        return True  # it may be slow on this machine
    except (aiohttp.ClientError, OSError):
        return False
