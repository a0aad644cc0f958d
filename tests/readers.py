"""What clients ask of a worker at once, each kind in a process of its own, since one that is busy measures itself. Prints JSON.

`python -m tests.readers PORT SECONDS read 10` asks for the largest answers by ten connections, in a loop.
`python -m tests.readers PORT SECONDS post 200` posts 200 events/s.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import cycle

from aiohttp import ClientSession, ClientTimeout, TCPConnector

PATHS = ["/events?limit=1000", "/stages?window=1000"]


async def read(session: ClientSession, seconds: float, readers: int) -> dict[str, object]:
    end, statuses = time.monotonic() + seconds, list[int]()

    async def one(first: int) -> None:
        for path in cycle(PATHS[first:] + PATHS[:first]):
            if time.monotonic() > end:
                return
            async with session.get(path) as answer:
                while await answer.content.readany():  # taken, but not kept
                    pass
                statuses.append(answer.status)

    await asyncio.gather(*[one(number % len(PATHS)) for number in range(readers)])
    return {"read": len(statuses), "failed": sum(status != 200 for status in statuses)}


async def post(session: ClientSession, seconds: float, a_second: int) -> dict[str, object]:
    times_ms, statuses = list[float](), list[int]()

    async def one(number: int) -> None:
        await asyncio.sleep(number / a_second)
        began = time.monotonic()
        async with session.post("/", json={"id": number}) as answer:
            await answer.read()
        times_ms.append(1000 * (time.monotonic() - began))
        statuses.append(answer.status)

    await asyncio.gather(*[one(number) for number in range(int(seconds * a_second))])
    times_ms.sort()
    at = {f"p{percent}_ms": round(times_ms[len(times_ms) * percent // 100], 1) for percent in (50, 95, 99)}
    return {"posted": len(statuses), "failed": sum(status != 200 for status in statuses), **at, "max_ms": round(times_ms[-1], 1)}


async def main(port: int, seconds: float, kind: Callable[[ClientSession, float, int], Awaitable[object]], count: int) -> None:
    async with ClientSession(f"http://127.0.0.1:{port}", timeout=ClientTimeout(60), connector=TCPConnector(limit=0)) as session:
        print(json.dumps(await kind(session, seconds, count)))


asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), {"read": read, "post": post}[sys.argv[3]], int(sys.argv[4])))
