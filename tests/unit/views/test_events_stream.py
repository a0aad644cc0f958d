"""Where a client is in the stream, and what one write to it has."""

import asyncio

import orjson
import pytest

from labapp import settings
from labapp.consume.feed import AGAIN_MAX, FEED
from labapp.event.rows import Rows
from labapp.views.events_stream import BYTES_A_WRITE, ROWS_A_STEP, ROWS_A_WRITE, Position
from labapp.web.answers import Refused


def partition(*offsets: int, consumed_us: int = 0, value: bytes = b'{\n"id": 1\r\n}') -> Rows:
    rows = Rows()
    rows.apply((str(offset), _row(offset, consumed_us, value)) for offset in offsets)
    return rows


def _row(offset: int, consumed_us: int, value: bytes = b"{}") -> bytes:
    return orjson.dumps({"key": str(offset), "offset": offset, "value": orjson.Fragment(value), "stages": {"consumed_us": consumed_us}})


def offsets(messages: bytes) -> list[int]:
    return [orjson.loads(line[6:])["offset"] for line in messages.splitlines() if line.startswith(b"data: ")]


def ids(messages: bytes) -> list[str]:
    return [line[4:].decode() for line in messages.splitlines() if line.startswith(b"id: ")]


def taken(position: Position, partitions: dict[int, Rows]) -> bytes:
    asyncio.run(position.add_new(partitions))
    return position.take(partitions)


def test_a_new_client_begins_now() -> None:
    """It gets what is recorded from now on."""
    partitions = {0: partition(3, 4), 1: partition()}
    position = Position(10)

    assert taken(position, partitions) == b""
    assert str(position) == "10;0:5,1:0"
    partitions[0].apply([("5", _row(5, 11))])
    partitions[1].apply([("0", _row(0, 11))])
    messages = taken(position, partitions)
    assert ids(messages) == ["10;0:6,1:0", "10;0:6,1:1"]
    assert offsets(messages) == [5, 0]
    assert taken(position, partitions) == b""


@pytest.mark.parametrize("cut", range(5))
def test_goes_on_from_any_id(cut: int) -> None:
    """Wherever a client is cut off, its last id brings the rest, each once."""
    partitions = {0: partition(1, 2, 5), 11: partition(7, 8)}
    first = taken(Position.parse("0;0:1,11:7"), partitions)
    rest = taken(Position.parse(ids(first)[cut]), partitions)

    assert offsets(first) == [1, 2, 5, 7, 8]
    assert offsets(rest) == offsets(first)[cut + 1 :]


def test_a_partition_that_came_later() -> None:
    """Of a partition which another worker had, it gets what was consumed since it listens."""
    old, new = partition(1, 2, consumed_us=90), partition(3, 4, consumed_us=110)
    old.apply(new.items())

    assert offsets(taken(Position.parse("100;0:9"), {1: old})) == [3, 4]


def test_at_most_so_many_at_once() -> None:
    """What one client has to take stays bounded over all partitions; each has its turn, and the rest comes next."""
    partitions = {number: partition(*range(ROWS_A_WRITE + 5)) for number in range(3)}
    position = Position.parse("0;0:0,1:0,2:0")
    first, *others = [offsets(taken(position, partitions)) for _ in range(4)]

    assert first == list(range(ROWS_A_WRITE))
    assert [found[:1] + found[-1:] for found in others] == [[0, ROWS_A_WRITE - 1], [0, ROWS_A_WRITE - 1], [ROWS_A_WRITE, ROWS_A_WRITE + 4]]
    assert str(position) == f"0;0:{ROWS_A_WRITE + 5},1:{ROWS_A_WRITE + 5},2:{ROWS_A_WRITE + 5}"


def test_at_most_so_many_bytes_at_once() -> None:
    """But one row may be larger, and none is left out."""
    partitions = {0: partition(*range(40), value=b'"%s"' % (b"x" * 65_000)), 1: partition(7, value=b'"%s"' % (b"x" * 2 * BYTES_A_WRITE))}
    position, writes = Position.parse("0;0:0,1:0"), list[bytes]()
    while messages := taken(position, partitions):
        writes.append(messages)

    assert sorted(offset for messages in writes for offset in offsets(messages)) == sorted([*range(40), 7])
    assert all(len(messages) < 1.01 * BYTES_A_WRITE or len(offsets(messages)) == 1 for messages in writes)
    assert [offsets(messages) for messages in writes].index([7]) == 1  # the other partition has its turn


def test_others_have_their_turn_while_a_place_is_looked_for() -> None:
    """A position that is far back is found in steps."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def both() -> None:
        other = asyncio.create_task(others())
        await Position.parse("1;").add_new({0: partition(*range(10 * ROWS_A_STEP), consumed_us=2)})
        other.cancel()

    asyncio.run(both())

    assert turns >= 9


def test_a_row_is_one_line() -> None:
    """Line breaks in what was posted do not end the message."""
    messages = taken(Position.parse("0;0:0"), {0: partition(0)})

    assert messages.count(b"\n") == 3
    assert b"\r" not in messages


@pytest.mark.parametrize("text", ["x", "1", "1;x", "1;0:1,", "1;0:-1", "1;0:1;", "1;0:1\n"])
def test_a_foreign_id_is_refused(text: str) -> None:
    """An id that no stream gave is a mistake that is told."""
    with pytest.raises(Refused, match="Last-Event-ID"):
        Position.parse(text)


@pytest.mark.parametrize("kept", [(), (0, 1)])
def test_an_id_of_a_topic_that_was_made_anew(kept: tuple[int, ...]) -> None:
    """Offsets begin again, and so does the client: it gets the new topic's rows, though its id is ahead of them."""
    partitions = {0: partition(*kept)}
    position = Position.parse("0;0:1000")
    first = taken(position, partitions)
    partitions[0].apply([("2", _row(2, 1))])

    assert offsets(first) + offsets(taken(position, partitions)) == [*kept, 2]


def test_rows_that_expired_unsent_are_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that was behind is told from which offset to which, and gets the rest. Where all rows are kept there is none."""
    monkeypatch.setattr(settings, "ROWS_KEPT", 10)
    partitions = {0: partition(*range(50, 60)), 1: partition(3, 4)}
    position = Position.parse("0;0:7,1:0")
    messages = taken(position, partitions)

    first, _, rest = messages.partition(b"\n\n")
    assert first == b'id: 0;0:50,1:0\nevent: gap\ndata: {"partition":0,"from":7,"to":50}'
    assert offsets(rest) == [*range(50, 60), 3, 4]
    assert taken(position, partitions) == b""


def test_rows_that_were_delivered_again() -> None:
    """A client that has such a row gets it as it is now, as another type of message, and its position stays."""
    partitions = {0: partition(1, 2, 5), 1: partition(3)}
    position = Position.parse("0;0:0,1:9")
    FEED.add_again(0, ["1"])
    taken(position, partitions)
    FEED.add_again(0, ["2", "5", "expired"])
    FEED.add_again(7, ["of another worker"])
    messages = position.take_again(partitions)

    assert [message.splitlines()[:2] for message in messages.decode().split("\n\n")[:-1]] == [["id: 0;0:6,1:4", "event: again"]] * 3
    assert offsets(messages) == [1, 2, 5]
    assert position.take_again(partitions) == b""


def test_what_comes_anyway_is_not_sent_again() -> None:
    """A row that the client has not got yet comes as it is now."""
    position = Position.parse("0;0:0")
    FEED.add_again(0, ["1"])

    assert position.take_again({0: partition(1)}) == b""


def test_very_many_rows_that_were_delivered_again() -> None:
    """Of those that come while a client takes nothing, the newest are sent; large ones in several writes."""
    partitions = {0: partition(*range(2 * AGAIN_MAX), value=b'"%s"' % (b"x" * 5000))}
    position, writes = Position.parse(f"0;0:{2 * AGAIN_MAX}"), list[bytes]()
    FEED.add_again(0, [str(offset) for offset in range(2 * AGAIN_MAX)])
    while messages := position.take_again(partitions):
        writes.append(messages)

    assert [offset for messages in writes for offset in offsets(messages)] == list(range(AGAIN_MAX, 2 * AGAIN_MAX))
    assert all(len(messages) < 1.1 * BYTES_A_WRITE for messages in writes)
