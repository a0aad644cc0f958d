"""What /records and /dead-letters answer where reading fails."""

from pathlib import Path

import pytest

from tests.unit.served import served

SETUP = """
from labapp.kafka import overview
from labapp.views.cluster import OBSERVER
partitions = [overview.Partition(0, 1, [1], [1], 0, 5)]
state = overview.Overview(0, [], [overview.Topic(name, False, partitions) for name in OBSERVER.topics], [])
async def known(): return state
async def connected(): return None, None
async def reading(*arguments):
    REASON
OBSERVER.overview, OBSERVER._clients, overview.newest, overview.TIMEOUT_SECONDS = known, connected, reading, 0.1
"""


@pytest.mark.parametrize("path", ["/records?partition=0", "/dead-letters"])
@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("await asyncio.sleep(60)", "The records could not be read within 2.5 s."),
        ("raise overview.KafkaError()", "No Kafka broker answers."),
    ],
)
def test_why_records_were_not_read(reason: str, sentence: str, path: str, tmp_path: Path) -> None:
    """503; slow brokers are not called away."""
    with served(tmp_path, SETUP.replace("REASON", reason)) as worker:
        answer = worker.get(path)

    assert (answer.status, answer.json) == (503, {"error": sentence})
