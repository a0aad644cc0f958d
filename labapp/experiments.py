"""Experiments from the page, in the local lab only. EXPERIMENTS lists them all; most run one command of the lab.

They are off unless LAB_CONTROL names the lab's folder. The lab sets it for its producer.
"""

import asyncio
import re
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError
from faust.exceptions import NotReady

from labapp import settings
from labapp.app import kafka_producer
from labapp.web.answers import Refused

CONSUMERS = [consumer.name for consumer in settings.CONSUMERS if consumer.name]
BROKERS = ["broker-1", "broker-2"]
TIMEOUT_SECONDS = 60

Arguments = dict[str, Any]
Said = dict[str, Any]  # of web/shapes.py


class Experiment(NamedTuple):
    """`on` lists the names that `run` takes. `run` also gets the request's arguments, and raises Refused."""

    on: Sequence[str]
    run: Callable[[str, Arguments], Awaitable[Said]]


def number(arguments: Arguments, name: str, least: int, most: int) -> int:
    """The whole number of that name. Raises Refused."""
    found = arguments.get(name)
    if type(found) is not int or not least <= found <= most:
        raise Refused(400, f"{name} must be a whole number from {least} to {most}.")
    return found


def matching(arguments: Arguments, name: str, pattern: str) -> str:
    """The text of that name. Raises Refused."""
    found = arguments.get(name)
    if not isinstance(found, str) or not re.fullmatch(pattern, found):
        raise Refused(400, f"{name} must be a text that matches {pattern}.")
    return found


def _lab_command(action: str) -> Callable[[str, Arguments], Awaitable[Said]]:
    """An experiment that runs the lab's command of this name to its end."""

    async def run(name: str, arguments: Arguments) -> Said:
        return await _run("labapp.lab", action, name)

    return run


async def _freeze(name: str, arguments: Arguments) -> Said:
    """Returns once the process is frozen. The lab thaws it after the given time."""
    return await _begin("labapp.lab", "freeze", name, "--seconds", str(number(arguments, "seconds", 1, 60)))


async def _slow(name: str, arguments: Arguments) -> Said:
    """A consumer is slow until it is told otherwise, a broker for the given time."""
    if name in CONSUMERS:
        return await _run("labapp.lab", "slow", name, str(number(arguments, "ms", 0, 500)))
    ms, seconds = number(arguments, "ms", 1, 500), number(arguments, "seconds", 1, 60)
    return await _begin("labapp.lab", "slow", name, str(ms), "--seconds", str(seconds))


async def _join(name: str, arguments: Arguments) -> Said:
    """Starts a consumer of another group as one more member of this group."""
    return await _run("labapp.lab", "start", name, f"CONSUMER_GROUP={settings.CONSUMER_GROUP}")


async def _acks(name: str, arguments: Arguments) -> Said:
    """Answers first. Then the lab stops this worker, and starts it again with these acknowledgements."""
    acks = matching(arguments, "acks", "1|all")
    _start_apart("labapp.lab", "restart", name, *(["FAUST_PRODUCER_ACKS=1"] if acks == "1" else []))
    return {"said": [f"{name} restarts with acks={acks}."]}


async def _write(topic: str, arguments: Arguments) -> Said:
    """Writes a record as another program could: its value is any text, and it lacks our headers."""
    key, value = matching(arguments, "key", "[!-~]{1,128}"), matching(arguments, "value", ".{0,1000}")
    try:
        async with asyncio.timeout(settings.PRODUCE_TIMEOUT_SECONDS):
            written = await (await kafka_producer().send(topic, value.encode(), key.encode()))
    except (KafkaError, NotReady, TimeoutError):
        raise Refused(503, "Kafka did not acknowledge the record.") from None
    return {"said": ["The record is written."], "partition": written.partition, "offset": written.offset}


async def _resend(topic: str, arguments: Arguments) -> Said:
    place, value = matching(arguments, "place", r"\d{1,9}:\d{1,18}"), matching(arguments, "value", ".{0,1000}")
    return await _run("labapp", "resend", f"--place={place}", f"--value={value}")


async def _rewind(group: str, arguments: Arguments) -> Said:
    return await _run("labapp", "rewind", f"--to={matching(arguments, 'to', '[0-9A-Za-z.:+-]{1,40}')}")


_going_on: set[asyncio.Task[Any]] = set()

EXPERIMENTS = {
    "stop": Experiment([*CONSUMERS, *BROKERS], _lab_command("stop")),
    "start": Experiment([*CONSUMERS, *BROKERS], _lab_command("start")),
    "kill": Experiment([*CONSUMERS, *BROKERS], _lab_command("kill")),
    "freeze": Experiment(["producer", *CONSUMERS, *BROKERS], _freeze),
    "slow": Experiment([*CONSUMERS, *BROKERS], _slow),
    "join": Experiment(["fan-out"], _join),
    "acks": Experiment(["producer"], _acks),
    "lose": Experiment(BROKERS, _lab_command("lose")),
    "write": Experiment([settings.KAFKA_TOPIC], _write),
    "resend": Experiment([settings.DEAD_LETTER_TOPIC], _resend),
    "rewind": Experiment([settings.CONSUMER_GROUP], _rewind),
    "thaw": Experiment([*CONSUMERS, *BROKERS], _lab_command("thaw")),  # a frozen producer can't answer
}


def offered() -> dict[str, list[str]]:
    """Each experiment, with the names that it takes. Empty outside the lab."""
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


def _start_apart(*arguments: str) -> None:
    """Starts a command that outlives this worker. asyncio would kill its own child, and the lab stops the whole process group."""
    null = subprocess.DEVNULL
    command = [sys.executable, "-m", *arguments]
    subprocess.Popen(command, env=settings.LAB_ENVIRONMENT, stdin=null, stdout=null, stderr=null, start_new_session=True)


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


async def _begin(*arguments: str) -> Said:
    """Starts a command and returns the first line that it printed. The command runs on. Raises Refused if it ends without a line."""
    command = await _started(*arguments)
    assert command.stdout is not None
    first = await command.stdout.readline()
    ended = asyncio.create_task(command.communicate())
    if not first:
        raise Refused(502, _sentence((await ended)[1]))
    _going_on.add(ended)
    ended.add_done_callback(_going_on.discard)
    return {"said": [first.decode().strip()]}


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
    return errors.decode(errors="replace").strip() or "The lab failed and printed no reason."
