"""Runs load and faults together, then waits until every event is found."""

import asyncio
import time
from collections.abc import Callable, Iterator

from aiokafka.errors import KafkaError

from labapp.lab import LabError
from tests.faults import cluster
from tests.faults.load import now_us, read_rows, send
from tests.faults.outcome import Outcome
from tests.faults.plan import Drawn, Step
from tests.faults.target import CONSUMERS, GROUP, LIMBO_SECONDS, Target

GIVE_UP_SECONDS = 90

Say = Callable[[str], None]


def say_at_once(text: str) -> None:
    print(text, flush=True)


async def run(
    target: Target, seconds: float, steps: Iterator[Step], rate: int, say: Say = say_at_once, give_up_seconds: float = GIVE_UP_SECONDS
) -> Outcome:
    """Injects faults for so long, or until a worker stays unready. Then waits until all is found, for `give_up_seconds` at most."""
    outcome, over = Outcome(), asyncio.Event()
    sender = asyncio.create_task(send(lambda: target.producer, rate, outcome, over))
    end = time.monotonic() + seconds
    await asyncio.sleep(2)
    for step in steps:
        if time.monotonic() > end or outcome.limbo:
            break
        outcome.faults.append((step.what, now_us()))
        say(f"{time.strftime('%H:%M:%S')} {step.what} ({len(outcome.acknowledged)} of {len(outcome.posted)} acknowledged)")
        await asyncio.gather(*(strike(target, drawn, say) for drawn in step.faults))
        await recover(target, outcome, step.what)
        await asyncio.sleep(step.pause_seconds)
        if sender.done():
            sender.result()
    over.set()
    await sender
    outcome.until_us = now_us()
    if not outcome.limbo:
        await recover(target, outcome, "the last step")
        # A worker that does not know that it left the group may call itself ready.
        if why := await cluster.unsettled(target.brokers, GROUP, len(CONSUMERS), LIMBO_SECONDS):
            outcome.limbo["group"] = why
    give_up = time.monotonic() + give_up_seconds
    while not outcome.rows or outcome.missing or outcome.twice or outcome.wrong:
        outcome.rows = await read_rows(target.consumers)
        if time.monotonic() > give_up:
            break
        await asyncio.sleep(0.5)
    return outcome


async def strike(target: Target, drawn: Drawn, say: Say) -> None:
    await asyncio.sleep(drawn.begins_seconds)
    try:
        await drawn.fault.strike(target, drawn.lasts_seconds)
    except (LabError, KafkaError, TimeoutError, OSError) as exc:  # the other fault prevented it
        say(f"         {drawn.fault.what}: {exc}")


async def recover(target: Target, outcome: Outcome, what: str) -> None:
    try:
        await asyncio.to_thread(target.heal)
    except LabError as exc:
        outcome.limbo["kafka"] = f"after {what}: {exc}"
        return
    found = await asyncio.to_thread(target.in_limbo)
    outcome.limbo |= {name: f"after {what}: {why}" for name, why in found.items()}
