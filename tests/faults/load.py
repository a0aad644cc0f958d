"""Events over HTTP at a steady rate, and all rows."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

import aiohttp

from tests.faults.outcome import Acknowledged, Outcome


def now_us() -> int:
    return time.time_ns() // 1000


async def send(url: Callable[[], str], rate: int, outcome: Outcome, over: asyncio.Event) -> None:
    """Posts `rate` events a second until `over`, whatever the answers. Asks `url` for each address. Returns when all are answered."""
    under_way: set[asyncio.Task[None]] = set()
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        began = asyncio.get_running_loop().time()
        while not over.is_set():
            key = f"event-{len(outcome.posted)}"
            outcome.posted[key] = {"id": key, "clicked": now_us() // 1000}
            task = asyncio.create_task(post(session, url(), key, outcome))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            await asyncio.sleep(max(0.0, began + len(outcome.posted) / rate - asyncio.get_running_loop().time()))
        await asyncio.gather(*under_way)


async def post(session: aiohttp.ClientSession, url: str, key: str, outcome: Outcome) -> None:
    try:
        async with session.post(url, json=outcome.posted[key], headers={"Idempotency-Key": key}) as response:
            if response.status == 200:
                answer = await response.json()
                outcome.acknowledged[key] = Acknowledged(answer["partition"], answer["offset"], now_us())
            elif response.status in (502, 503, 504):  # 502 and 504 are a proxy's
                outcome.refusals[f"{response.status} {(await response.text())[:80]}"] += 1
            else:
                raise SystemExit(f"A post was answered {response.status}: {await response.text()}")
    except (aiohttp.ClientError, TimeoutError, OSError) as exc:
        outcome.refusals[type(exc).__name__] += 1


async def read_rows(ports: Iterable[int]) -> list[dict[str, Any]]:
    """All rows of those consumers that answer."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        return [row for port in ports for row in await _rows(session, port)]


async def _rows(session: aiohttp.ClientSession, port: int) -> list[dict[str, Any]]:
    rows, cursor = [], ""
    while True:
        try:
            async with session.get(f"http://127.0.0.1:{port}/events?limit=1000{cursor}") as response:
                if response.status != 200:
                    return []
                page = await response.json()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return []
        rows += page["events"]
        if page["next"] is None:
            return rows
        cursor = f"&before={page['next']}"
