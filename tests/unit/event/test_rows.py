"""The rows of a partition: their size and their order."""

from labapp.event.rows import Rows, keys_between


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


def test_keys_between_two_offsets() -> None:
    """The rows of a range by key, its first offset in it and its end not."""
    rows = Rows()
    rows.apply(
        (str(offset), b'{"key":"%d","topic":"t","partition":0,"offset":%d,"deliveries":1}' % (offset, offset)) for offset in (3, 5, 8, 9)
    )

    assert keys_between(rows, 5, 9) == {"5": 5, "8": 8}
    assert keys_between(rows, 10, 20) == {}
