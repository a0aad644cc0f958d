"""Requests that a broker does not answer, since it has just died."""

import asyncio

import pytest

from labapp import settings
from labapp.kafka.admin import Interrupted, Unsuitable, until_answered


class Brokers:
    """It is asked as often as there are errors, and then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    async def ask(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "answered"


def test_another_broker_is_asked() -> None:
    assert asyncio.run(until_answered(Brokers(Interrupted("one"), Interrupted("two")).ask)) == "answered"


def test_what_is_unsuitable_is_not_asked_again() -> None:
    brokers = Brokers(Unsuitable("The topic is wrong"), Unsuitable("asked again"))

    with pytest.raises(Unsuitable, match=r"The topic is wrong\."):
        asyncio.run(until_answered(brokers.ask))


def test_it_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "START_TIMEOUT_SECONDS", 0)

    with pytest.raises(Interrupted, match=r"one\."):
        asyncio.run(until_answered(Brokers(Interrupted("one"), Interrupted("two")).ask))
