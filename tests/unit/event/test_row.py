"""What an event is, and how it becomes a record and a row."""

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labapp.event import row as events
from labapp.event.row import Unusable

ARRIVAL_US = 1_764_000_000_874_012


@dataclass
class Record:
    value: bytes | None = b'{"id": 7}'
    key: bytes | None = b"key-7"
    headers: tuple[tuple[str, bytes], ...] = ()
    topic: str = "first-topic"
    partition: int = 1
    offset: int = 42
    timestamp: int = ARRIVAL_US // 1000 + 2
    timestamp_type: int = 1


@pytest.fixture(params=["UTC", "Asia/Kolkata", "America/New_York"])
def _time_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def row(record: Record) -> dict:
    return orjson.loads(events.row_of(record, ARRIVAL_US + 4098)[1])


def test_a_row_has_the_five_stages_and_where_the_record_is() -> None:
    """The row is as the contract shows it."""
    record = Record(
        b'{"id":7,"clicked":1764000000872,"produced":"06:15:43:875"}',
        headers=(("received_us", b"1764000000874012"), ("produced_us", b"1764000000874391")),
    )

    assert events.row_of(record, ARRIVAL_US + 4098) == (
        "key-7",
        b'{"key":"key-7","topic":"first-topic","partition":1,"offset":42,"deliveries":1,'
        b'"value":{"id":7,"clicked":1764000000872,"produced":"06:15:43:875"},'
        b'"stages":{"clicked_us":1764000000872000,"received_us":1764000000874012,"produced_us":1764000000874391,'
        b'"appended_us":1764000000876000,"consumed_us":1764000000878110}}',
    )


def test_what_others_leave_out_is_null() -> None:
    """No header, no key, no broker's time: recorded with what is known, under the record's place."""
    found = row(Record(key=None, timestamp_type=0))

    assert found["key"] == "first-topic-1-42"
    assert [found["stages"][f"{stage}_us"] for stage in events.STAGES] == [None, None, None, None, ARRIVAL_US + 4098]


@pytest.mark.parametrize("key", [None, b"", b"\xff\xfe"])
def test_a_key_that_is_no_text_is_replaced_by_the_place(key: bytes | None) -> None:
    """Rows are found by text."""
    assert row(Record(key=key))["key"] == "first-topic-1-42"


@pytest.mark.parametrize("text", [b"", b"soon", b"-1", b"1e3", b"12345678901234567", "٣".encode(), None])
def test_headers_of_others_that_are_no_time_are_ignored(text: bytes | None) -> None:
    """A stage is missing rather than invented."""
    assert row(Record(headers=(("received_us", text),)))["stages"]["received_us"] is None


@pytest.mark.parametrize("value", [None, b"", b"soon", b"[1]", b'"text"', b"1", b"null", b"{", b'{"a":NaN}', b'{"a":"\xff"}', b"[" * 5000])
def test_what_is_no_json_object_is_not_recorded(value: bytes | None) -> None:
    """It is for the dead-letter topic, with a reason."""
    with pytest.raises(Unusable, match=r"^The (record|value) "):
        events.row_of(Record(value), ARRIVAL_US)


def test_a_row_that_the_changelog_would_not_take_is_not_recorded() -> None:
    """It would be retried for ever."""
    with pytest.raises(Unusable, match="more than"):
        events.row_of(Record(b'{"text":"%s"}' % (b"x" * 1_000_000)), ARRIVAL_US)


@pytest.mark.usefixtures("_time_zone")
def test_clicked_is_read_in_three_ways() -> None:
    """Epoch milliseconds, ISO 8601, the workshop's local time with milliseconds not padded."""
    at = datetime.fromtimestamp(ARRIVAL_US // 1_000_000 - 1)
    second_us = (ARRIVAL_US // 1_000_000 - 1) * 1_000_000
    utc = datetime.fromtimestamp(ARRIVAL_US // 1_000_000 - 1, UTC)

    assert events.clicked_us(second_us // 1000 + 7, ARRIVAL_US) == second_us + 7000
    assert events.clicked_us(second_us / 1000 + 0.25, ARRIVAL_US) == second_us + 250
    assert events.clicked_us(f"{utc:%Y-%m-%dT%H:%M:%S}.007Z", ARRIVAL_US) == second_us + 7000
    assert events.clicked_us(f"{at:%Y-%m-%dT%H:%M:%S}.007", ARRIVAL_US) == second_us + 7000
    assert events.clicked_us(f"{at:%H:%M:%S}:7", ARRIVAL_US) == second_us + 7000
    assert events.clicked_us(f"{at.hour}:{at.minute}:{at.second}:007", ARRIVAL_US) == second_us + 7000


@pytest.mark.usefixtures("_time_zone")
def test_clicked_before_midnight_and_received_after_it() -> None:
    """The workshop's time has no date: the nearest one is taken."""
    midnight = int(datetime(2025, 11, 24).timestamp())

    assert events.clicked_us("23:59:59:900", midnight * 1_000_000 + 50_000) == midnight * 1_000_000 - 100_000
    assert events.clicked_us("00:00:00:100", midnight * 1_000_000 - 50_000) == midnight * 1_000_000 + 100_000


@pytest.mark.parametrize(
    "clicked",
    [
        None,
        True,
        "",
        "soon",
        "25:00:00:1",
        "10:61:00:1",
        [],
        {},
        0,
        -1,
        1e300,
        ARRIVAL_US // 1000 - 3_600_001,
        "2025-11-24",
        "9999-12-31T23:59:59",
    ],
)
def test_clicked_that_cannot_be_read_or_is_over_an_hour_away_is_null(clicked: object) -> None:
    """It stays in the value."""
    assert events.clicked_us(clicked, ARRIVAL_US) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values, max_size=5), st.text(min_size=1))
def test_whatever_is_posted_is_kept_whole(event: dict, key: str) -> None:
    """Every field, and numbers beyond 64 bits, from the request to the row and through another delivery."""
    try:
        body, encoded_key = json.dumps(event).encode(), key.encode()
        posted = events.posted(body)
    except (UnicodeEncodeError, Unusable):
        return  # lone surrogates are no text
    record = Record(events.record_value(body, posted, ARRIVAL_US), encoded_key)
    found_key, first = events.row_of(record, ARRIVAL_US)
    again = events.delivered_again(events.delivered_again(first))

    expected = {**event, "produced": events.local_time(ARRIVAL_US)}
    assert found_key == key
    assert json.loads(first)["value"] == expected
    assert json.loads(again) == json.loads(first) | {"deliveries": 3}
    assert events.offset_of(again) == 42


@pytest.mark.parametrize("text", ['a","offset":9,"deliveries":7,', '\\","deliveries":7,"', '"deliveries":7,'])
def test_a_key_that_looks_like_a_row_changes_nothing(text: str) -> None:
    """Offset and deliveries are found in the row's text, where a key cannot imitate them."""
    _, first = events.row_of(Record(key=text.encode(), topic="t"), ARRIVAL_US)

    assert events.offset_of(first) == 42
    assert json.loads(events.delivered_again(first)) == json.loads(first) | {"deliveries": 2}


@pytest.mark.parametrize("body", [b"", b"soon", b"[]", b'"text"', b"1", b"null", b'{"a":1', b"\xff", b'{"a":1}{"b":2}', b"{'a':1}"])
def test_what_is_posted_is_a_json_object(body: bytes) -> None:
    """Anything else is refused with a sentence."""
    with pytest.raises(Unusable, match=r"^The body is"):
        events.posted(body)


@pytest.mark.parametrize("key", ["", "x" * 129, "ä", "tab\t", "line\n"])
def test_a_bad_key_is_refused(key: str) -> None:
    """1 to 128 printable ASCII characters."""
    with pytest.raises(Unusable, match="Idempotency-Key"):
        events.key_of(key)


def test_a_key_is_made_where_none_is_given() -> None:
    """A UUIDv7, so keys made one after the other sort so."""
    keys = [events.key_of(None) for _ in range(100)]

    assert keys == sorted(set(keys))
    assert {key[14] for key in keys} == {"7"}


@pytest.mark.parametrize("spaced", [b"{}", b" { } ", b'{"a":1}\n', b' {"a":{}} '])
def test_a_field_is_added_to_any_object(spaced: bytes) -> None:
    """Without reading and writing it anew."""
    assert json.loads(events.with_field(spaced, "produced", "now")) == json.loads(spaced) | {"produced": "now"}
