"""What is recorded together, and what is dropped when its turn comes."""

from pathlib import Path

from tests.unit.apart import run_apart

CODE = """
import asyncio
from types import SimpleNamespace
from labapp import consumer
from labapp.batches import BATCH_RECORDS, Batch
from labapp.consumer import Taken
from labapp.table import Rows

recorded = []  # of each call where its batches start

async def record_and_ack(taken, rows):
    recorded.append([one.event.value.start for one in taken])

def batch(start, seek=2, size=1, value=b"{}"):
    return SimpleNamespace(value=Batch([SimpleNamespace(partition=0, value=value)] * size, start, start + size, seek))

async def record(*taken):
    waiting, room = asyncio.Queue(), asyncio.Semaphore(0)
    for one in taken:
        waiting.put_nowait(one)
    task = asyncio.create_task(consumer.record_in_order(0, waiting, room))
    for _ in taken:
        await room.acquire()
    task.cancel()
    calls = recorded.copy()
    recorded.clear()
    return calls

async def main():
    rows = Rows()
    consumer.record_and_ack = record_and_ack
    consumer.app.consumer = SimpleNamespace(is_current=lambda batch: batch.seek == 2)
    consumer.events.owned = {0: rows}
    assert await record(Taken(batch(10), rows, 1), Taken(batch(11), rows, 2)) == [[10, 11]], "together, in order"
    full = Taken(batch(10, size=BATCH_RECORDS), rows, 1), Taken(batch(10 + BATCH_RECORDS), rows, 2)
    assert await record(*full) == [[10], [10 + BATCH_RECORDS]], "up to a full batch"
    big = bytes(consumer.FULL_WRITE_BYTES // 2 + 1)
    large = [Taken(batch(start, value=big), rows, 1) for start in (10, 11, 12)]
    assert await record(*large) == [[10, 11], [12]], "or so many bytes"

    anew = Taken(batch(10, seek=1), rows, 1), Taken(batch(12), rows, 2)
    assert await record(*anew) == [[12]], "reading began anew since"
    gone = Taken(batch(12), Rows(), 1), Taken(batch(13), rows, 2)
    assert await record(*gone) == [[13]], "the partition went, and came back"
    consumer.events.owned = {}
    assert await record(Taken(batch(14), rows, 1), Taken(batch(15), None, 2)) == [], "it went; it had gone before it was taken"

asyncio.run(main())
"""


def test_what_waits_is_recorded_together_unless_a_rebalance_overtook_it(tmp_path: Path) -> None:
    """What a rebalance overtook comes again, here or at another worker: recording it would count a delivery twice, or write on rows
    that are not ours."""
    run_apart(CODE, tmp_path)
