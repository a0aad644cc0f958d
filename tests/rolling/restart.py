"""Workers that are restarted one after another, as a platform does it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.faults.load import now_us
from tests.worker import Worker


@dataclass(frozen=True)
class Restart:
    kind: str  # producer or consumer
    code: int  # exit code
    to_end_seconds: float  # from SIGTERM to the end of the process
    to_ready_seconds: float  # from its start until ready
    since_us: int
    until_us: int


class Restarted:
    """A worker, and its restarts. `start` starts it, each time on the same port."""

    def __init__(self, kind: str, start: Callable[[], Worker]) -> None:
        self.kind, self._start = kind, start
        self.worker = start()
        self.restarts: list[Restart] = []

    def awaited(self) -> "Restarted":
        """Returns itself when the worker is ready."""
        self.worker.ready(60)
        return self

    def restart(self) -> None:
        """Returns when it is ready again."""
        since_us, began = now_us(), time.monotonic()
        code = self.worker.stop(30)
        ended = time.monotonic()
        self.worker.close()
        self.worker = self._start()
        self.worker.ready(60)
        self.restarts.append(Restart(self.kind, code, ended - began, time.monotonic() - ended, since_us, now_us()))


async def restart_in_turn(workers: Sequence[Restarted], rounds: int, pause_seconds: float) -> None:
    """Restarts each worker once a round, and waits so many seconds after each restart."""
    for number in range(1, rounds + 1):
        for one in workers:
            await asyncio.to_thread(one.restart)
            await asyncio.sleep(pause_seconds)
        print(f"{time.strftime('%H:%M:%S')} round {number}: every {workers[0].kind} restarted", flush=True)
