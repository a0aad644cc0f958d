"""Experiments from the page, in the local lab only. EXPERIMENTS lists them all; most run one command of the lab.

They are off unless LAB_CONTROL names the lab's folder. The lab sets it for its producer.
"""

import asyncio
import sys
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from labapp import settings
from labapp.web.answers import Refused

CONSUMERS = [consumer.name for consumer in settings.CONSUMERS if consumer.name]
BROKERS = ["broker-1", "broker-2"]
TIMEOUT_SECONDS = 60

Arguments = dict[str, Any]
Said = dict[str, Any]  # `said`: lines of text


class Experiment(NamedTuple):
    """What `run` may be done to, by name. It gets the name and the request's arguments, and raises Refused."""

    on: Sequence[str]
    run: Callable[[str, Arguments], Awaitable[Said]]


def number(arguments: Arguments, name: str, least: int, most: int) -> int:
    """The whole number of that name. Raises Refused."""
    found = arguments.get(name)
    if not isinstance(found, int) or not least <= found <= most:
        raise Refused(400, f"{name} is a whole number from {least} to {most}.")
    return found


def _lab_command(action: str) -> Callable[[str, Arguments], Awaitable[Said]]:
    """An experiment that is done when the lab's command of this name has ended."""

    async def run(name: str, arguments: Arguments) -> Said:
        return await _run("labapp.lab", action, name)

    return run


async def _freeze(name: str, arguments: Arguments) -> Said:
    """Done once the process is frozen. The lab's command goes on until it is thawed, and thaws it in time."""
    seconds = number(arguments, "seconds", 1, 60)
    command = await _started("labapp.lab", "freeze", name, "--seconds", str(seconds))
    assert command.stdout is not None
    first = await command.stdout.readline()
    ended = asyncio.create_task(command.communicate())
    if not first:
        raise Refused(502, _sentence((await ended)[1]))
    _going_on.add(ended)
    ended.add_done_callback(_going_on.discard)
    return {"said": [first.decode().strip()]}


async def _slow(name: str, arguments: Arguments) -> Said:
    return await _run("labapp.lab", "slow", name, str(number(arguments, "ms", 0, 500)))


_going_on: set[asyncio.Task[Any]] = set()

EXPERIMENTS = {
    "stop": Experiment([*CONSUMERS, *BROKERS], _lab_command("stop")),
    "start": Experiment([*CONSUMERS, *BROKERS], _lab_command("start")),
    "kill": Experiment([*CONSUMERS, *BROKERS], _lab_command("kill")),
    "freeze": Experiment(["producer", *CONSUMERS, *BROKERS], _freeze),
    "slow": Experiment(CONSUMERS, _slow),
    "thaw": Experiment([*CONSUMERS, *BROKERS], _lab_command("thaw")),  # a frozen producer can't be asked
}


def offered() -> dict[str, list[str]]:
    """Each experiment and what it may be done to. Empty outside the lab."""
    return {action: list(experiment.on) for action, experiment in EXPERIMENTS.items()} if settings.LAB_CONTROL else {}


_one_at_a_time = asyncio.Lock()


async def run(action: str, name: str, arguments: Arguments) -> Said:
    """Returns what the lab said, once the experiment is done. Raises Refused."""
    if name not in offered().get(action, []):
        raise Refused(404, f"There is no such experiment. The experiments are {', '.join(EXPERIMENTS)}.")
    if _one_at_a_time.locked():
        raise Refused(409, "Another experiment is under way.")
    async with _one_at_a_time:
        return await EXPERIMENTS[action].run(name, arguments)


async def _started(*arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        env=settings.LAB_ENVIRONMENT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def _run(*arguments: str) -> Said:
    """Runs a command to its end and returns the last line that it printed. Raises Refused with what went wrong."""
    process = await _started(*arguments)
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            out, errors = await process.communicate()
    except TimeoutError:
        raise Refused(504, f"The lab did not finish in {TIMEOUT_SECONDS} s.") from None
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise Refused(502, _sentence(errors))
    return {"said": [out.decode(errors="replace").strip().rpartition("\n")[2]]}


def _sentence(errors: bytes) -> str:
    return errors.decode(errors="replace").strip() or "The lab failed without a word."
