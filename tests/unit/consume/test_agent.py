"""What is recorded together, and what is dropped when its turn comes."""

from pathlib import Path

from tests.unit.apart import run_apart

CODE = """
import asyncio
from types import SimpleNamespace
from labapp.consume import agent
from labapp.patched.faust_batches import BATCH_RECORDS, Batch
from labapp.consume.agent import Taken
from labapp.event.rows import Rows

recorded = []  # of each call where its batches start

async def write_and_ack(taken, rows):
    recorded.append([one.event.value.start for one in taken])

def batch(start, seek=2, size=1, value=b"{}"):
    return SimpleNamespace(value=Batch([SimpleNamespace(partition=0, value=value)] * size, start, start + size, seek))

async def record(*taken):
    waiting, room = asyncio.Queue(), asyncio.Semaphore(0)
    for one in taken:
        waiting.put_nowait(one)
    task = asyncio.create_task(agent.write_partition(0, waiting, room))
    for _ in taken:
        await room.acquire()
    task.cancel()
    calls = recorded.copy()
    recorded.clear()
    return calls

async def main():
    rows = Rows()
    agent.write_and_ack = write_and_ack
    agent.app.consumer = SimpleNamespace(is_current=lambda batch: batch.seek == 2)
    agent.event_table.owned = {0: rows}
    assert await record(Taken(batch(10), rows, 1), Taken(batch(11), rows, 2)) == [[10, 11]], "together, in order"
    full = Taken(batch(10, size=BATCH_RECORDS), rows, 1), Taken(batch(10 + BATCH_RECORDS), rows, 2)
    assert await record(*full) == [[10], [10 + BATCH_RECORDS]], "up to a full batch"
    big = bytes(agent.FULL_WRITE_BYTES // 2 + 1)
    large = [Taken(batch(start, value=big), rows, 1) for start in (10, 11, 12)]
    assert await record(*large) == [[10, 11], [12]], "or so many bytes"

    anew = Taken(batch(10, seek=1), rows, 1), Taken(batch(12), rows, 2)
    assert await record(*anew) == [[12]], "reading began anew since"
    gone = Taken(batch(12), Rows(), 1), Taken(batch(13), rows, 2)
    assert await record(*gone) == [[13]], "the partition went, and came back"
    agent.event_table.owned = {}
    assert await record(Taken(batch(14), rows, 1), Taken(batch(15), None, 2)) == [], "it went; it had gone before it was taken"

asyncio.run(main())
"""


def test_what_waits_is_recorded_together_unless_a_rebalance_overtook_it(tmp_path: Path) -> None:
    """What a rebalance overtook comes again, here or at another worker: recording it would count a delivery twice, or write on rows
    that are not ours."""
    run_apart(CODE, tmp_path)


PAUSES = """
import asyncio
from types import SimpleNamespace
from labapp.consume import agent
from labapp.patched.faust_batches import Batch
from labapp.consume.agent import Taken
from labapp.event.rows import Rows

async def main():
    rows, waiting, room, recorded, pauses = Rows(), asyncio.Queue(), asyncio.Semaphore(1), [], []

    def comes(start):
        event = SimpleNamespace(value=Batch([SimpleNamespace(partition=0, value=b"{}")], start, start + 1, 2))
        waiting.put_nowait(Taken(event, rows, 1))

    async def write_and_ack(taken, rows):
        recorded.append([one.event.value.start for one in taken])
        if recorded == [[10]]:
            comes(11)  # during this write

    async def sleep(seconds):
        pauses.append(seconds)
        if recorded == [[10]]:
            comes(12)  # during the pause before the next

    agent.write_and_ack, asyncio.sleep = write_and_ack, sleep
    agent.app.consumer = SimpleNamespace(is_current=lambda batch: True)
    agent.event_table.owned = {0: rows}
    comes(10)
    not_before = await agent.write_next(0, waiting, room, 0)
    assert pauses.pop() <= 0, "alone: at once"
    not_before = await agent.write_next(0, waiting, room, not_before)
    assert 0 < pauses.pop() <= agent.WRITES_APART_SECONDS and recorded == [[10], [11, 12]], "together, after a pause"
    comes(13)
    await agent.write_next(0, waiting, room, not_before)
    assert pauses.pop() <= 0 and recorded[2:] == [[13]], "nothing came during the write: at once again"

asyncio.run(main())
"""


def test_an_event_alone_is_recorded_at_once_and_fast_ones_together(tmp_path: Path) -> None:
    """Where something came during a write, the next write waits, and takes what comes meanwhile."""
    run_apart(PAUSES, tmp_path)


DEFECT = """
import asyncio
from labapp.consume import agent

class Ended(BaseException):
    pass

def exit_at_once():
    raise Ended

async def main():
    waiting = asyncio.Queue()
    waiting.put_nowait("no batch")
    agent.exit_at_once = exit_at_once
    try:
        await agent.write_partition(0, waiting, asyncio.Semaphore(0))
    except Ended:
        print("ended")

asyncio.run(main())
"""


def test_a_defect_ends_the_process(tmp_path: Path) -> None:
    """Wherever it is: raised, it would have Faust go on behind what was not recorded."""
    assert run_apart(DEFECT, tmp_path).endswith("ended\n")
