"""The worker's command with a watch on its event loops: `python -m tests.watched worker`. It logs each callback that held a loop.

What counts is the CPU time of the loop's thread. On a busy machine the time by the clock is mostly that of other programs.
"""

import logging
import runpy
import threading
import time
from asyncio import Handle

# A callback that took longer is logged.
MOST_MS = 20

log = logging.getLogger(__name__)
_run = Handle._run


def _watched(handle: Handle) -> None:
    what = handle._callback  # type: ignore[attr-defined]
    began, began_wall = time.thread_time(), time.perf_counter()
    _run(handle)
    if (cpu_ms := (time.thread_time() - began) * 1000) > MOST_MS:
        wall_ms = (time.perf_counter() - began_wall) * 1000
        log.warning("Held %s for %.1f ms of CPU, %.1f ms by the clock: %r", threading.current_thread().name, cpu_ms, wall_ms, what)


if __name__ == "__main__":
    Handle._run = _watched  # type: ignore[method-assign]
    runpy.run_module("labapp", run_name="__main__")
