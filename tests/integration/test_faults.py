"""A short draw of `make faults`: what is acknowledged under faults has one row, and only one."""

import asyncio

import pytest

from tests import faults


def test_nothing_lost_and_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is killed, stopped or frozen, and however they follow one another."""
    monkeypatch.setenv("ROWS_KEPT", "1000000")
    with faults.lab_of_its_own() as lab:
        outcome = asyncio.run(faults.run(lab, seconds=45, seed=7, rate=150))

    assert len(outcome.faults) > 1
    assert len(outcome.acknowledged) > 1000
    assert not outcome.missing, faults.report(outcome)
    assert outcome.twice == 0, faults.report(outcome)
