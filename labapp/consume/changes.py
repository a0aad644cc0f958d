"""What batches of records change in the rows of their partition.

A record that is delivered again changes only its row's deliveries. The newest rows are kept, by offset. The result does not depend on
how records are cut into batches, except as `_replay` says.
"""

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from labapp import settings
from labapp.consume.dead_letters import DeadLetter
from labapp.event.record import Unusable
from labapp.event.row import (
    RECORDED_BYTES,
    ROW_BYTES_MAX,
    Fresh,
    Record,
    delivered_again,
    is_delivered_again,
    offset_of,
    own_key,
    row_of,
    with_own_key,
)
from labapp.event.rows import Rows, newest_offset
from labapp.observe import logs

log = logging.getLogger(__name__)


Batches = Sequence[tuple[Sequence[Record], int]]  # consecutive batches of one partition, each with its consumed_us


@dataclass
class Changes:
    """`rows` are to be set, or deleted if None. `fresh` are the new events, in order. `dead_letters` can't be recorded.

    `reorder` says whether the rows must be put in the order of offsets afterwards.
    """

    rows: dict[str, bytes | None] = field(default_factory=dict)
    fresh: list[Fresh] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    # The keys of rows whose record was delivered again.
    again: list[str] = field(default_factory=list)
    reorder: bool = False
    # How many of the fresh events have a key of their own, because their record's key was in use.
    key_reused: int = 0

    def forget(self, key: str) -> None:
        """Leaves out the change of a row that can't be written."""
        self.rows.pop(key, None)
        self.fresh = [fresh for fresh in self.fresh if fresh[0] != key]


def changes_of(batches: Batches, rows: Rows, row_bytes_max: int = ROW_BYTES_MAX) -> Changes:
    changes = Changes()
    if rows and batches[0][0][0].offset <= newest_offset(rows):
        _replay(batches, rows, changes, row_bytes_max)
    else:
        _append(batches, rows, changes, row_bytes_max)
    return changes


def _append(batches: Batches, rows: Rows, changes: Changes, row_bytes_max: int) -> None:
    """Records behind all rows: each new row goes to the end, and the oldest row expires if there are too many."""
    count, size_bytes = len(rows), rows.size_bytes
    count_max, size_bytes_max = settings.ROWS_KEPT, settings.ROWS_KEPT_BYTES
    changed, fresh, added = changes.rows, changes.fresh, deque[tuple[str, int]]()
    oldest = _oldest_first(rows, added)
    for record, consumed_us, key, row in _decoded(batches, changes.dead_letters, row_bytes_max):
        if (known := changed[key] if key in changed else rows.get(key)) is not None:
            if is_delivered_again(record, known):
                changed[key] = delivered_again(known)
                changes.again.append(key)
                continue
            key, row = own_key(record), with_own_key(record, key, row)
            changes.key_reused += 1
        if key in changed:  # it expired within this batch, and its new row goes to the end
            del changed[key]
            changes.reorder = True
        changed[key] = row
        row_bytes = len(row) + RECORDED_BYTES
        added.append((key, row_bytes))
        fresh.append((key, record, consumed_us))
        count += 1
        size_bytes += row_bytes
        while count > count_max or size_bytes > size_bytes_max:
            expired_key, expired_bytes = next(oldest)
            changed[expired_key] = None
            count -= 1
            size_bytes -= expired_bytes


def oldest_kept(rows: Rows) -> int | None:
    """The offset of the oldest row if older ones may have expired. None if every row that there was is kept."""
    may_have_expired = len(rows) >= settings.ROWS_KEPT or rows.size_bytes > settings.ROWS_KEPT_BYTES - ROW_BYTES_MAX
    return offset_of(next(iter(rows.values()))) if rows and may_have_expired else None


def _oldest_first(rows: Rows, added: deque[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """The key and the size of each row, oldest first."""
    for key, row in rows.items():
        yield key, len(row)
    while added:
        yield added.popleft()


def _replay(batches: Batches, rows: Rows, changes: Changes, row_bytes_max: int) -> None:
    """Records before the newest row, as after a rewind of the group. Events older than the oldest kept row stay expired.

    Here the cut may matter: a record whose key expires in the same call counts as a redelivery of the row that expires.
    """
    fresh: dict[str, Fresh] = {}
    reused = set()
    for record, consumed_us, key, row in _decoded(batches, changes.dead_letters, row_bytes_max):
        if (known := changes.rows.get(key) or rows.get(key)) is not None and not is_delivered_again(record, known):
            key, row, known = own_key(record), with_own_key(record, key, row), None
            reused.add(key)
        # The record's key was in use when it was read first, and may be free by now.
        if known is None and (earlier := changes.rows.get(own_key(record)) or rows.get(own_key(record))) is not None:
            key, known = own_key(record), earlier
        if known is not None:
            changes.rows[key] = delivered_again(known)
            changes.again.append(key)
        else:
            changes.rows[key] = row
            fresh[key] = (key, record, consumed_us)
    if fresh:
        for key in _expired({key: row for key, row in {**rows, **changes.rows}.items() if row is not None}):
            if fresh.pop(key, None) is not None:
                del changes.rows[key]
            else:
                changes.rows[key] = None
    changes.fresh = list(fresh.values())
    changes.key_reused = len(reused & fresh.keys())
    changes.reorder = bool(fresh)


def _expired(rows: dict[str, bytes]) -> Iterator[str]:
    """The keys of the oldest rows that exceed ROWS_KEPT or ROWS_KEPT_BYTES."""
    in_order = sorted(rows.items(), key=lambda item: offset_of(item[1]))
    count, size_bytes = len(in_order), sum(len(row) for _, row in in_order)
    for key, row in in_order:
        if count <= settings.ROWS_KEPT and size_bytes <= settings.ROWS_KEPT_BYTES:
            return
        yield key
        count -= 1
        size_bytes -= len(row)


def _decoded(batches: Batches, dead_letters: list[DeadLetter], row_bytes_max: int) -> Iterator[tuple[Record, int, str, bytes]]:
    """Record, consumed_us, key and row of each record that can be recorded. The others become dead letters."""
    for batch, consumed_us in batches:
        for record in batch:
            try:
                key, row = row_of(record, consumed_us, row_bytes_max)
            except Unusable as exc:
                dead_letters.append((record, str(exc)))
            except Exception as exc:  # a defect of ours must not hold up the partition
                about = logs.about(record.headers)
                log.exception("Partition %s, offset %s can't be recorded", record.partition, record.offset, extra=about)
                dead_letters.append((record, f"The consumer failed on this record: {exc!r}"))
            else:
                yield record, consumed_us, key, row
