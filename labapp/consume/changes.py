"""What batches of records change in the rows of their partition: pure, and the same however they are cut, but for a rewind (_read_before).

Idempotent by key: a key seen again changes nothing but its row's deliveries. Bounded: the newest rows are kept, by offset.
"""

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from labapp import settings
from labapp.consume.dead_letters import DeadLetter
from labapp.event.row import Fresh, Record, Unusable, delivered_again, offset_of, row_of
from labapp.observe import logs
from labapp.patched.faust_table import Rows

log = logging.getLogger(__name__)


Batches = Sequence[tuple[Sequence[Record], int]]  # of one partition, one after the other in the log, each with its consumed_us


@dataclass
class Changes:
    """`rows`: what is to be set, or deleted where None. `fresh`: the events not seen before, in order.

    `dead_letters`: what can't be recorded, and why. `reorder`: whether the rows have to be put in order of offsets afterwards.
    """

    rows: dict[str, bytes | None] = field(default_factory=dict)
    fresh: list[Fresh] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    reorder: bool = False


def changes_of(batches: Batches, rows: Rows) -> Changes:
    changes = Changes()
    if rows and batches[0][0][0].offset <= newest(rows):
        _read_before(batches, rows, changes)
    else:
        _read_first(batches, rows, changes)
    return changes


def newest(rows: Rows) -> int:
    """The offset of the newest row. Rows are kept in the order of offsets."""
    return offset_of(next(reversed(rows.values())))


def _read_first(batches: Batches, rows: Rows, changes: Changes) -> None:
    """Each new row goes behind all others, and the oldest goes where there are too many."""
    count, size_bytes = len(rows), rows.size_bytes
    changed, added = changes.rows, deque[tuple[str, bytes]]()
    oldest = _oldest_first(rows, added)
    for record, consumed_us, key, row in _decoded(batches, changes.dead_letters):
        if (known := changed[key] if key in changed else rows.get(key)) is not None:
            changed[key] = delivered_again(known)
            continue
        if key in changed:  # expired within this very batch: it goes to the end
            del changed[key]
            changes.reorder = True
        changed[key] = row
        added.append((key, row))
        changes.fresh.append((key, record.value or b"", consumed_us))
        count += 1
        size_bytes += len(row)
        while count > settings.ROWS_KEPT or size_bytes > settings.ROWS_KEPT_BYTES:
            expired_key, expired_row = next(oldest)
            changed[expired_key] = None
            count -= 1
            size_bytes -= len(expired_row)


def _oldest_first(rows: Rows, added: deque[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    yield from rows.items()
    while added:
        yield added.popleft()


def _read_before(batches: Batches, rows: Rows, changes: Changes) -> None:
    """Rows of later records are there, as after a rewind of the group: what would be older than the oldest kept stays expired.

    Only here the cut may matter: a key that is read again and expires in the same call is one more delivery of what expires.
    """
    fresh: dict[str, Fresh] = {}
    for record, consumed_us, key, row in _decoded(batches, changes.dead_letters):
        if (known := changes.rows.get(key) or rows.get(key)) is not None:
            changes.rows[key] = delivered_again(known)
        else:
            changes.rows[key] = row
            fresh[key] = (key, record.value or b"", consumed_us)
    if fresh:
        for key in _expired({key: row for key, row in {**rows, **changes.rows}.items() if row is not None}):
            if fresh.pop(key, None) is not None:
                del changes.rows[key]
            else:
                changes.rows[key] = None
    changes.fresh = list(fresh.values())
    changes.reorder = bool(fresh)


def _expired(rows: dict[str, bytes]) -> Iterator[str]:
    """The keys of the oldest rows beyond what is kept."""
    in_order = sorted(rows.items(), key=lambda item: offset_of(item[1]))
    count, size_bytes = len(in_order), sum(len(row) for _, row in in_order)
    for key, row in in_order:
        if count <= settings.ROWS_KEPT and size_bytes <= settings.ROWS_KEPT_BYTES:
            return
        yield key
        count -= 1
        size_bytes -= len(row)


def _decoded(batches: Batches, dead_letters: list[DeadLetter]) -> Iterator[tuple[Record, int, str, bytes]]:
    """Record, consumed_us, key and row of each that can be recorded."""
    for batch, consumed_us in batches:
        for record in batch:
            try:
                key, row = row_of(record, consumed_us)
            except Unusable as exc:
                dead_letters.append((record, str(exc)))
            except Exception as exc:  # a defect of ours must not hold up the partition
                about = logs.about(record.headers)
                log.exception("Partition %s, offset %s can't be recorded", record.partition, record.offset, extra=about)
                dead_letters.append((record, f"The consumer failed on it: {exc!r}"))
            else:
                yield record, consumed_us, key, row
