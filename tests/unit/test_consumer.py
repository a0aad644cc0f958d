"""Which batches are recorded when their turn comes. In a process of its own: app.py changes what it imports of Faust and aiokafka."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

CODE = """
import asyncio
from types import SimpleNamespace
from labapp import consumer
from labapp.batches import Batch
from labapp.table import Rows

recorded = []

async def record_and_ack(event, rows, consumed_us):
    recorded.append(event.value.start)

def taken(start, seek=2):
    return SimpleNamespace(value=Batch([SimpleNamespace(partition=0)], start, start + 1, seek))

async def main():
    rows = Rows()
    consumer.record_and_ack = record_and_ack
    consumer.app.consumer = SimpleNamespace(is_current=lambda batch: batch.seek == 2)
    consumer.events.owned = {0: rows}
    first = asyncio.create_task(consumer.in_turn(taken(10), rows, 1, None))
    await consumer.in_turn(taken(11), rows, 1, first)
    assert recorded == [10, 11], "in the order in which they were taken"

    await consumer.in_turn(taken(12, seek=1), rows, 1, None)  # reading began anew since
    consumer.events.owned = {0: Rows()}
    await consumer.in_turn(taken(13), rows, 1, None)  # the partition went, and came back
    consumer.events.owned = {}
    await consumer.in_turn(taken(14), rows, 1, None)  # it went
    await consumer.in_turn(taken(15), None, 1, None)  # it had gone before it was taken
    assert recorded == [10, 11], "what is delivered again is neither recorded nor acked"

asyncio.run(main())
"""


def test_what_a_rebalance_overtook_is_dropped(tmp_path: Path) -> None:
    """It comes again, here or at another worker: recording it would count a delivery twice, or write on rows that are not ours."""
    ran = subprocess.run([sys.executable, "-c", CODE], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)

    assert ran.returncode == 0, ran.stderr
