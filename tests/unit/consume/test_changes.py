"""What a batch changes in the rows of its partition."""

import json
from itertools import cycle
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from labapp import settings
from labapp.consume import changes
from labapp.consume.changes import changes_of, oldest_kept
from labapp.event.row import offset_of, recorded_at
from labapp.event.rows import Rows
from tests.unit.records import Record

OURS = (("received_us", b"1764000000874012"),)


def records(*offsets: int, key: str = "key-{}", value: bytes | None = b'{"id": 1}', headers: Any = ()) -> list[Record]:
    return [Record(value, key.format(offset).encode(), headers, offset=offset) for offset in offsets]


def take(rows: Rows, batch: list[Any]) -> tuple[list[bytes], list[Any]]:
    """As the agent does; returns the values of new events, and the dead letters."""
    found = changes_of([(batch, 1)], rows)
    rows.apply(found.rows.items(), recorded_at(1_764_000_000_880, 1))
    if found.reorder:
        rows.sort(by=offset_of)
    return [record.value for _, record, _ in found.fresh], found.dead_letters


def offsets(rows: Rows) -> list[int]:
    return [json.loads(row)["offset"] for row in rows.values()]


@pytest.fixture(autouse=True)
def _few_rows_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ROWS_KEPT", 10)


def test_a_request_sent_again_changes_only_its_deliveries() -> None:
    """In one batch, and over batches. When it was produced is not looked at, nor are white space and the order of fields."""
    rows = Rows()
    first, again = (b'{"id":12345678901234567890123,"a":1,"produced":"06:15:43:%d"}' % ms for ms in (875, 990))
    other_text = b'{"a": 1, "produced": "06:15:44:001", "id": 12345678901234567890123}'
    take(rows, [*records(0, value=first, headers=OURS), *records(1, key="key-0", value=again, headers=OURS)])
    fresh, _ = take(rows, records(2, key="key-0", value=other_text, headers=OURS))

    row = json.loads(rows["key-0"])
    assert (row["offset"], row["deliveries"], row["value"]["produced"]) == (0, 3, "06:15:43:875")
    assert fresh == []
    assert len(rows) == 1


def test_a_record_read_again_changes_only_its_deliveries() -> None:
    """Of other programs' records too, whatever keys they have."""
    rows = Rows()
    batch = [*records(0, key="same"), *records(1, key="same"), *records(2, key="same")]
    take(rows, batch)
    fresh, _ = take(rows, batch[1:])

    assert {key: json.loads(row)["deliveries"] for key, row in rows.items()} == {"same": 1, "first-topic-1-1": 2, "first-topic-1-2": 2}
    assert fresh == []


def test_which_rows_count_a_delivery_more_is_told() -> None:
    """Those of records read again, and of requests sent again."""
    rows = Rows()
    take(rows, records(0, 1, 2, headers=OURS))

    assert changes_of([(records(1, 2, headers=OURS), 1)], rows).again == ["key-1", "key-2"]
    assert changes_of([([*records(3, headers=OURS), *records(4, key="key-0", headers=OURS)], 1)], rows).again == ["key-0"]


OTHER_EVENTS = {
    "another value": records(1, key="key-0", value=b'{"id":2,"produced":"06:15:43:875"}', headers=OURS),
    "a number that differs beyond 64 bits": records(1, key="key-0", value=b'{"id":12345678901234567890124}', headers=OURS),
    "another program's, with the same value": records(1, key="key-0", value=b'{"id":12345678901234567890123}'),
}


@pytest.mark.parametrize("other", OTHER_EVENTS.values(), ids=OTHER_EVENTS)
def test_another_event_under_a_key_in_use_has_a_row_of_its_own(other: list[Record]) -> None:
    """Its key is where the record is, and the row has the record's own key as well. It is a new event."""
    rows = Rows()
    take(rows, records(0, value=b'{"id":12345678901234567890123}', headers=OURS))
    before = rows["key-0"]
    fresh, _ = take(rows, other)

    row = json.loads(rows["first-topic-1-1"])
    assert list(row)[:2] == ["key", "record_key"]
    assert (row["key"], row["record_key"], row["offset"], row["deliveries"]) == ("first-topic-1-1", "key-0", 1, 1)
    assert row["value"] == json.loads(other[0].value)
    assert rows["key-0"] == before
    assert fresh == [other[0].value]


def test_an_event_whose_key_was_in_use_is_found_again_when_the_key_is_free() -> None:
    """After the key's row has expired, a rewind reads the record again: it is its row's."""
    rows = Rows()
    take(rows, [*records(0, key="same"), *records(1, key="same")])
    take(rows, records(*range(2, 11)))
    assert "same" not in rows
    fresh, _ = take(rows, records(1, key="same"))

    assert json.loads(rows["first-topic-1-1"])["deliveries"] == 2
    assert fresh == []


def test_the_newest_rows_are_kept() -> None:
    """Whatever size the batches have."""
    for size in (1, 3, 10, 25, 100):
        rows = Rows()
        for first in range(0, 100, size):
            fresh, _ = take(rows, records(*range(first, min(first + size, 100))))
            assert len(fresh) == min(size, 100 - first)
        assert offsets(rows) == list(range(90, 100)), size


def test_bytes_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever bound is reached first."""
    rows = Rows()
    take(rows, records(0))
    monkeypatch.setattr(settings, "ROWS_KEPT_BYTES", 5 * rows.size_bytes)
    take(rows, records(*range(1, 9)))

    assert offsets(rows) == [4, 5, 6, 7, 8]
    assert rows.size_bytes == sum(map(len, rows.values())) <= settings.ROWS_KEPT_BYTES


@given(st.lists(st.integers(0, 20), min_size=1, max_size=80), st.lists(st.integers(1, 30), min_size=1))
@settings_of_hypothesis(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_rows_do_not_depend_on_how_records_are_cut_into_batches(keys: list[int], sizes: list[int]) -> None:
    """So the table can be made anew from the topic: the same rows."""
    batch = [Record(b"{}", b"key-%d" % key, offset=offset) for offset, key in enumerate(keys)]
    at_once, one_by_one, in_pieces = Rows(), Rows(), Rows()
    take(at_once, batch)
    for record in batch:
        take(one_by_one, [record])
    rest, size = batch, cycle(sizes)
    while rest:
        first = next(size)
        take(in_pieces, rest[:first])
        rest = rest[first:]

    assert list(at_once.items()) == list(one_by_one.items()) == list(in_pieces.items())
    assert at_once.size_bytes == sum(map(len, at_once.values()))
    assert offsets(at_once) == sorted(offsets(at_once))


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_replay_of_the_whole_topic_changes_only_deliveries(size: int) -> None:
    """What has expired does not come back, nor is it handed out again."""
    rows = Rows()
    take(rows, records(*range(100)))
    before = {key: json.loads(row) for key, row in rows.items()}
    for first in range(0, 100, size):
        fresh, _ = take(rows, records(*range(first, min(first + size, 100))))
        assert fresh == []

    assert list(rows) == list(before)
    assert {key: json.loads(row) for key, row in rows.items()} == {key: row | {"deliveries": 2} for key, row in before.items()}


def test_an_older_record_finds_its_place_while_there_is_room() -> None:
    """After a rewind to before the rows that are there."""
    rows = Rows()
    take(rows, records(*range(50, 55)))
    take(rows, records(*range(20, 23)))
    take(rows, records(*range(23, 50)))

    assert offsets(rows) == list(range(45, 55))


def test_what_cannot_be_recorded_is_a_dead_letter_and_the_rest_is_recorded() -> None:
    """One by one, with the reason."""
    rows = Rows()
    bad = [*records(1, value=b"soon"), *records(3, value=None)]
    _, dead_letters = take(rows, [*records(0), bad[0], *records(2), bad[1], *records(4)])

    assert offsets(rows) == [0, 2, 4]
    assert [record for record, _ in dead_letters] == bad
    assert [reason.split(":")[0] for _, reason in dead_letters] == ["The value is not JSON", "The record has no value"]


def test_a_defect_of_ours_is_a_dead_letter_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not hold up the partition."""

    def defect(record: Record, consumed_us: int, bytes_max: int) -> tuple[str, bytes]:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(changes, "row_of", defect)
    rows = Rows()
    _, dead_letters = take(rows, records(0))

    assert [reason for _, reason in dead_letters] == ["The consumer failed on this record: ZeroDivisionError('oh')"]


def test_oldest_kept_is_told_once_rows_may_have_expired() -> None:
    """While there is room for more rows, what has no row has not expired."""
    rows = Rows()
    found: list[int | None] = []
    for offset in range(settings.ROWS_KEPT + 3):
        take(rows, records(offset))
        found.append(oldest_kept(rows))

    assert found == [None] * (settings.ROWS_KEPT - 1) + [0, 1, 2, 3]
