"""How what was fetched is cut into batches."""

from types import SimpleNamespace
from typing import Any

import pytest

from labapp.patched import faust_batches
from labapp.patched.faust_batches import cut


def records(*offsets: int) -> list[Any]:
    return [SimpleNamespace(offset=offset) for offset in offsets]


def test_batches_follow_one_another_without_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offsets that hold no record (a transaction's marker, what compaction took) are no gap."""
    monkeypatch.setattr(faust_batches, "BATCH_RECORDS", 2)

    found = list(cut(records(11, 12, 15, 16, 18), start=10, end=21, seek=3))

    assert [[record.offset for record in batch] for batch in found] == [[11, 12], [15, 16], [18]]
    assert [len(batch) for batch in cut(records(11, 12, 15), start=10, end=21, seek=3, most=1)] == [1, 1, 1]
    assert [(batch.start, batch.end, batch.seek) for batch in found] == [(10, 13, 3), (13, 17, 3), (17, 21, 3)]
