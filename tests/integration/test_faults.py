"""A short draw of `make faults`: what is acknowledged under faults has one row, and only one, of what was posted."""

import asyncio

from tests.faults import report
from tests.faults.controls import write_beside
from tests.faults.faults import COORDINATOR, freeze, kill, network, stop_and_start
from tests.faults.load import read_rows
from tests.faults.outcome import Outcome
from tests.faults.plan import Step, plan
from tests.faults.run import run
from tests.faults.target import CONSUMERS, Target, target
from tests.proxy import Trouble

NETWORK = [network(trouble, COORDINATOR) for trouble in Trouble if trouble is not Trouble.NONE]
PROCESSES = [make(name) for name in CONSUMERS for make in (kill, stop_and_start, freeze)]


def test_nothing_lost_and_nothing_twice() -> None:
    """A trouble of the network and one of a process at a time lose nothing and leave nobody behind. And the check is no empty one."""
    with target() as struck:
        outcome = asyncio.run(run(struck, 20, filter(of_both, plan(NETWORK + PROCESSES, seed=7, overlapping=1)), rate=150))

        assert outcome.faults
        assert len(outcome.acknowledged) > 1000
        assert not outcome.failed, f"{report.counts(outcome)}\n{report.details(outcome)}"
        assert wrong_once_another_writes(struck, outcome)


def of_both(step: Step) -> bool:
    return {drawn.fault in NETWORK for drawn in step.faults} == {True, False}


def wrong_once_another_writes(struck: Target, outcome: Outcome) -> set[str]:
    """What is wrong with the same rows after a program that isn't their owner wrote some of them."""
    asyncio.run(write_beside(struck, 0))
    struck.heal()
    assert not struck.in_limbo()
    outcome.rows = asyncio.run(read_rows(struck.consumers))
    assert not outcome.missing
    return outcome.wrong
