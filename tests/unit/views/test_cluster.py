"""What /records and /dead-letters answer where reading fails."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from tests.unit.served import served


def newest_is(newest: Callable[..., Awaitable[Any]]) -> None:
    """Makes `newest` the function that reads records. The overview is known: each topic has one partition of 5 records."""
    from labapp.kafka import overview
    from labapp.views.cluster import OBSERVER

    partitions = [overview.Partition(0, 1, [1], [1], 0, 5)]
    state = overview.Overview(0, [], [overview.Topic(name, None, False, partitions) for name in OBSERVER.topics], [])

    async def known() -> overview.Overview:
        return state

    async def connected() -> tuple[None, None]:
        return None, None

    OBSERVER.overview, OBSERVER._clients, overview.newest, overview.TIMEOUT_SECONDS = known, connected, newest, 0.1


def slow_brokers() -> None:
    async def newest(*_: object) -> None:
        await asyncio.sleep(60)

    newest_is(newest)


def no_brokers() -> None:
    async def newest(*_: object) -> None:
        raise KafkaError()

    newest_is(newest)


@pytest.mark.parametrize(
    ("set_up", "sentence"),
    [
        (slow_brokers, "The records could not be read within 2.5 s."),
        (no_brokers, "No Kafka broker answers."),
    ],
)
def test_why_records_were_not_read(set_up: Callable[[], None], sentence: str, tmp_path: Path) -> None:
    """503; slow brokers are not called away."""
    with served(tmp_path, set_up) as worker:
        answers = [worker.get(path) for path in ("/records?partition=0", "/dead-letters")]

    assert [(answer.status, answer.json) for answer in answers] == [(503, {"error": sentence})] * 2
