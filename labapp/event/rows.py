"""The rows of the partitions that a worker owns, in memory, and pages of them."""

import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import merge
from itertools import islice, pairwise

from labapp.event import offsets
from labapp.event.offsets import Offsets
from labapp.event.record import KEY_LENGTH_MAX
from labapp.event.row import offset_of, stages_of


class Rows(dict[str, bytes]):
    """One partition's rows by key, in the order in which they were first put. `size_bytes` is their total size."""

    size_bytes = 0

    def apply(self, changes: Iterable[tuple[str, bytes | None]], stamp: Callable[[bytes], bytes] | None = None) -> None:
        """Sets each row, changed by `stamp` if it is given, or deletes it if it is None."""
        get, pop, size_bytes = self.get, self.pop, self.size_bytes  # this loop is a tenth of the speed of recording
        for key, row in changes:
            if row is None:
                before = pop(key, None)
            else:
                before = get(key)
                self[key] = row = stamp(row) if stamp else row
                size_bytes += len(row)
            if before is not None:
                size_bytes -= len(before)
        self.size_bytes = size_bytes

    def sort(self, by: Callable[[bytes], int]) -> None:
        """Sorts the rows by `by`. Compaction moves a row that was written again behind newer rows."""
        places = [by(row) for row in self.values()]
        if any(left > right for left, right in pairwise(places)):
            in_order = sorted(self.items(), key=lambda item: by(item[1]))
            self.clear()
            self.update(in_order)


def newest_offset(rows: Rows) -> int:
    """The offset of the newest row. Rows are kept in the order of offsets. Raises StopIteration if there is none."""
    return offset_of(next(reversed(rows.values())))


def newest_first(
    partitions: Mapping[int, Rows], limit: int, below: Offsets, bytes_most: int = sys.maxsize
) -> tuple[list[bytes], str | None]:
    """The newest rows by arrival, and the cursor of the next page; None if nothing older is kept.

    The page has at most `limit` rows and `bytes_most` bytes, but always one row if there is any. `below` is the decoded cursor of an
    earlier page. The page has only rows whose offset is smaller than their partition's offset in it.
    """
    next_below = {
        partition: min(below.get(partition, newest + 1), newest + 1)
        for partition, rows in partitions.items()
        if rows and (newest := newest_offset(rows)) >= 0
    }
    older = [_tagged(partition, _below(end, partitions[partition])) for partition, end in next_below.items()]
    page, size = list[bytes](), 0
    for partition, row in merge(*older, key=lambda tagged: _arrival_us(tagged[1]), reverse=True):
        size += len(row)
        if len(page) == limit or (page and size > bytes_most):
            return page, offsets.to_text(next_below)
        page.append(row)
        next_below[partition] = offset_of(row)
    return page, None


def from_offset(rows: Rows, first: int, limit: int) -> list[bytes]:
    """The rows from offset `first` on, oldest first, at most `limit`. If there are no more, it does not look at older rows."""
    newer = list[bytes]()
    for row in islice(reversed(rows.values()), limit + 1):
        if offset_of(row) < first:
            return newer[::-1]
        newer.append(row)
    if len(newer) <= limit:
        return newer[::-1]
    in_order = list(rows.values())
    start = bisect_left(in_order, first, key=offset_of)
    return in_order[start : start + limit]


def keys_between(rows: Rows, first: int, end: int) -> dict[str, int]:
    """The key and the offset of each row from offset `first` to before `end`. Keys longer than KEY_LENGTH_MAX are left out."""
    in_order = list(rows.items())
    start = bisect_left(in_order, first, key=lambda item: offset_of(item[1]))
    found = dict[str, int]()
    for key, row in islice(in_order, start, None):
        if (offset := offset_of(row)) >= end:
            break
        if len(key) <= KEY_LENGTH_MAX:
            found[key] = offset
    return found


def _tagged(partition: int, rows: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    for row in rows:
        yield partition, row


def _below(end: int, rows: Rows) -> Iterator[bytes]:
    """The rows below an offset, newest first."""
    if newest_offset(rows) < end:
        return reversed(rows.values())
    in_order = list(rows.values())
    return reversed(in_order[: bisect_left(in_order, end, key=offset_of)])


def _arrival_us(row: bytes) -> int:
    stages = stages_of(row)
    return stages["appended_us"] or stages["consumed_us"] or 0
