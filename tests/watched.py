"""The worker's command with a watch on its event loops: `python -m tests.watched worker`. It logs each turn that held a loop for long.

What counts is the CPU time of the loop's thread. On a busy machine the time by the clock is mostly that of other programs.
"""

import logging
import runpy
import threading
import time
from asyncio.base_events import BaseEventLoop

# A turn of the loop that takes more CPU time is logged.
MOST_MS = 20

log = logging.getLogger(__name__)
_run_once = BaseEventLoop._run_once  # type: ignore[attr-defined]


def _watched(loop: BaseEventLoop) -> None:
    began = time.thread_time()
    _run_once(loop)
    if (cpu_ms := 1000 * (time.thread_time() - began)) > MOST_MS:
        log.warning("Held: a turn of the loop of %s took %.1f ms of CPU", threading.current_thread().name, cpu_ms)


if __name__ == "__main__":
    BaseEventLoop._run_once = _watched  # type: ignore[attr-defined]
    runpy.run_module("labapp", run_name="__main__")
