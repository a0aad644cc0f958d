"""Experiments from the page, in the local lab only: the lab's own command stops, starts and kills its processes.

They are off unless LAB_CONTROL names the lab's folder. The lab sets it for its producer.
"""

import asyncio
import sys

from labapp import settings
from labapp.web.answers import Refused

ACTIONS = ["stop", "start", "kill"]
PROCESSES = [*(consumer.name for consumer in settings.CONSUMERS if consumer.name), "broker-1", "broker-2"] if settings.LAB_CONTROL else []
TIMEOUT_SECONDS = 60


class Experiments:
    """One experiment at a time."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()

    async def run(self, action: str, process: str) -> str:
        """Returns the last line that the lab printed, once the action is done. Raises Refused."""
        if action not in ACTIONS or process not in PROCESSES:
            raise Refused(404, f"An experiment is one of {', '.join(ACTIONS)} with one of {', '.join(PROCESSES)}.")
        if self._one_at_a_time.locked():
            raise Refused(409, "Another experiment is under way.")
        async with self._one_at_a_time:
            printed = await _lab(action, process)
        return printed.decode(errors="replace").strip().rpartition("\n")[2]


EXPERIMENTS = Experiments()


async def _lab(*arguments: str) -> bytes:
    """Runs one command of the lab and returns what it printed. Raises Refused with what went wrong."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "labapp.lab",
        *arguments,
        env=settings.LAB_ENVIRONMENT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            out, errors = await process.communicate()
    except TimeoutError:
        raise Refused(504, f"The lab did not finish in {TIMEOUT_SECONDS} s.") from None
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise Refused(502, errors.decode(errors="replace").strip() or "The lab failed without a word.")
    return out
