"""The rows of the partitions that a worker owns, in memory, and pages of them."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import merge
from itertools import dropwhile, islice, pairwise

from labapp.event import offsets
from labapp.event.offsets import Offsets
from labapp.event.row import offset_of, stages_of


class Rows(dict[str, bytes]):
    """One partition's rows by key, in the order in which they were first put; `size_bytes` is that of all of them."""

    size_bytes = 0

    def apply(self, changes: Iterable[tuple[str, bytes | None]]) -> None:
        """Sets rows, deletes them where None."""
        for key, row in changes:
            self.size_bytes -= len(self.get(key, b""))
            if row is None:
                self.pop(key, None)
            else:
                self[key] = row
                self.size_bytes += len(row)

    def sort(self, by: Callable[[bytes], int]) -> None:
        """Puts the rows in the order of `by`: compaction moves a row that was written again behind those that came after it."""
        places = [by(row) for row in self.values()]
        if any(left > right for left, right in pairwise(places)):
            in_order = sorted(self.items(), key=lambda item: by(item[1]))
            self.clear()
            self.update(in_order)


def newest_offset(rows: Rows) -> int:
    """The offset of the newest row. Rows are kept in the order of offsets. Raises StopIteration if there is none."""
    return offset_of(next(reversed(rows.values())))


def newest_first(partitions: Mapping[int, Rows], limit: int, below: Offsets) -> tuple[list[bytes], str | None]:
    """The newest rows by arrival, at most `limit`, and the cursor of the next page; None if nothing older is kept.

    `below` is the cursor of an earlier page, decoded: of each partition the page has only rows with a smaller offset.
    """
    next_below = {
        partition: min(below.get(partition, newest + 1), newest + 1)
        for partition, rows in partitions.items()
        if rows and (newest := newest_offset(rows)) >= 0
    }
    older = [_tagged(partition, _below(end, partitions[partition])) for partition, end in next_below.items()]
    merged = merge(*older, key=lambda tagged: _arrival_us(tagged[1]), reverse=True)
    page = []
    for partition, row in islice(merged, limit):
        page.append(row)
        next_below[partition] = offset_of(row)
    more = next(merged, None) is not None
    return page, offsets.to_text(next_below) if more else None


def from_offset(rows: Rows, first: int) -> Iterator[bytes]:
    """The rows from offset `first` on, oldest first."""
    newer = []
    for row in reversed(rows.values()):
        if offset_of(row) < first:
            break
        newer.append(row)
    return reversed(newer)


def keys_between(rows: Rows, first: int, end: int) -> dict[str, int]:
    """The key and the offset of each row whose offset is from `first` to before `end`."""
    in_order = list(rows.items())
    start = bisect_left(in_order, first, key=lambda item: offset_of(item[1]))
    found = dict[str, int]()
    for key, row in islice(in_order, start, None):
        if (offset := offset_of(row)) >= end:
            break
        found[key] = offset
    return found


def _tagged(partition: int, rows: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    for row in rows:
        yield partition, row


def _below(end: int, rows: Rows) -> Iterator[bytes]:
    return dropwhile(lambda row: offset_of(row) >= end, reversed(rows.values()))


def _arrival_us(row: bytes) -> int:
    stages = stages_of(row)
    return stages["appended_us"] or stages["consumed_us"] or 0
