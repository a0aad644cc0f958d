"""The rows of a partition: their size, their order, and pages of them whose cost is bounded."""

import pytest

from labapp.event import rows as rows_module
from labapp.event.offsets import parse
from labapp.event.row import offset_of
from labapp.event.rows import Rows, from_offset, keys_between, newest_first


def test_rows_know_their_size() -> None:
    """Set, set again, deleted, deleted again."""
    rows = Rows()
    rows.apply([("a", b"1"), ("b", b"22"), ("a", b"333"), ("c", None)])

    assert (dict(rows), rows.size_bytes) == ({"a": b"333", "b": b"22"}, 5)

    rows.apply([("a", None), ("a", None)])

    assert (dict(rows), rows.size_bytes) == ({"b": b"22"}, 2)


def test_rows_are_put_in_order() -> None:
    """Size and content stay."""
    rows = Rows()
    rows.apply([("b", b"2"), ("c", b"3"), ("a", b"1")])
    rows.sort(by=int)

    assert (list(rows.items()), rows.size_bytes) == ([("a", b"1"), ("b", b"2"), ("c", b"3")], 3)


def partition(offsets: range, size: int = 0, appended_us: int = 0) -> Rows:
    rows = Rows()
    rows.apply((str(offset), _row(offset, size, appended_us + offset)) for offset in offsets)
    return rows


def _row(offset: int, size: int, appended_us: int) -> bytes:
    stages = b'{"appended_us":%d,"consumed_us":0}' % appended_us
    return b'{"key":"k","topic":"t","partition":0,"offset":%d,"value":"%s","stages":%s}' % (offset, b"x" * size, stages)


def pages(partitions: dict[int, Rows], limit: int, bytes_most: int) -> list[list[bytes]]:
    found, following = list[list[bytes]](), None
    while True:
        page, following = newest_first(partitions, limit, parse(following) if following else {}, bytes_most)
        found.append(page)
        if following is None:
            return found


@pytest.mark.parametrize(("limit", "bytes_most"), [(7, 10**9), (1000, 10_000), (1000, 0), (3, 2000), (1, 10**9)])
def test_pages_are_bounded_and_leave_nothing_out(limit: int, bytes_most: int) -> None:
    """In number and in bytes, but for one row; together they have each row once, newest first."""
    partitions = {0: partition(range(5, 60, 3), 700), 1: partition(range(40), 700, 1000), 2: Rows()}
    found = pages(partitions, limit, bytes_most)

    assert all(0 < len(page) <= limit for page in found)
    assert all(sum(map(len, page)) <= bytes_most or len(page) == 1 for page in found)
    assert [row for page in found for row in page] == [*reversed(partitions[1].values()), *reversed(partitions[0].values())]


@pytest.mark.parametrize("first", [0, 1, 2, 3, 50, 97, 98, 99, 100, 1000])
@pytest.mark.parametrize("limit", [1, 2, 49, 50, 51, 1000])
def test_rows_from_an_offset_on(first: int, limit: int) -> None:
    """The oldest of them, wherever it is, and no more than asked for."""
    rows = partition(range(1, 100, 2))

    assert [offset_of(row) for row in from_offset(rows, first, limit)] == [offset for offset in range(1, 100, 2) if offset >= first][:limit]


def test_a_page_costs_no_more_where_more_rows_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """However far back it begins, few more rows are looked at than it has."""
    looked_at = list[bytes]()
    monkeypatch.setattr(rows_module, "offset_of", lambda row: looked_at.append(row) or offset_of(row))
    rows = partition(range(20_000))

    for begin in (19_999, 10_000, 200):
        looked_at.clear()
        page, _ = newest_first({0: rows}, 100, {0: begin})
        assert (len(page), len(looked_at) < 130) == (100, True)
    for begin in (19_950, 10_000, 0):
        looked_at.clear()
        assert len(from_offset(rows, begin, 50)) == 50
        assert len(looked_at) < 80


def test_keys_between_two_offsets() -> None:
    """The rows of a range by key, its first offset in it and its end not."""
    rows = Rows()
    rows.apply(
        (str(offset), b'{"key":"%d","topic":"t","partition":0,"offset":%d,"deliveries":1}' % (offset, offset)) for offset in (3, 5, 8, 9)
    )

    assert keys_between(rows, 5, 9) == {"5": 5, "8": 8}
    assert keys_between(rows, 10, 20) == {}


def test_keys_between_are_such_as_a_request_may_give() -> None:
    """Other programs' keys may be as long as a record, and a thousand of them too much for an answer."""
    rows = Rows()
    rows.apply([("x" * 128, _row(1, 0, 0)), ("x" * 129, _row(2, 0, 0))])

    assert keys_between(rows, 0, 9) == {"x" * 128: 1}
