"""How a record becomes a row."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labapp.event.record import Unusable, json_object, record_value
from labapp.event.row import delivered_again, offset_of, recorded_at, row_of
from labapp.event.stages import STAGES, local_time
from tests.unit.records import ARRIVAL_US, Record


def row(record: Record) -> dict:
    return orjson.loads(row_of(record, ARRIVAL_US + 4098)[1])


def test_a_row_has_the_five_stages_and_where_the_record_is() -> None:
    """The row is as the contract shows it."""
    record = Record(
        b'{"id":7,"clicked":1764000000872,"produced":"06:15:43:875"}',
        headers=(("received_us", b"1764000000874012"), ("produced_us", b"1764000000874391")),
    )

    assert row_of(record, ARRIVAL_US + 4098) == (
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
    assert [found["stages"].get(f"{stage}_us") for stage in STAGES] == [None, None, None, None, ARRIVAL_US + 4098, None]


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
        row_of(Record(value), ARRIVAL_US)


def test_a_row_that_the_changelog_would_not_take_is_not_recorded() -> None:
    """It would be retried for ever."""
    with pytest.raises(Unusable, match=r"^The row would have \d+ bytes, and the changelog takes 1000000$"):
        row_of(Record(b'{"text":"%s"}' % (b"x" * 1_000_000)), ARRIVAL_US)


def test_recorded_is_the_changelog_messages_time() -> None:
    """By the broker's clock; null if the changelog keeps the client's time. A row that is written again keeps what it has."""
    _, written = row_of(Record(), ARRIVAL_US)
    once = recorded_at(1_764_000_000_880, 1)(written)

    assert orjson.loads(once)["stages"] == orjson.loads(written)["stages"] | {"recorded_us": 1_764_000_000_880_000}
    assert orjson.loads(recorded_at(1_764_000_000_880, 0)(written))["stages"]["recorded_us"] is None
    assert recorded_at(1_764_000_000_999, 1)(delivered_again(once)) == delivered_again(once)


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
        event_posted = json_object(body, "body")
    except (UnicodeEncodeError, Unusable):
        return  # lone surrogates are no text
    record = Record(record_value(body, event_posted, ARRIVAL_US), encoded_key)
    found_key, first = row_of(record, ARRIVAL_US)
    again = delivered_again(delivered_again(first))

    expected = {**event, "produced": local_time(ARRIVAL_US)}
    assert found_key == key
    assert json.loads(first)["value"] == expected
    assert json.loads(again) == json.loads(first) | {"deliveries": 3}
    assert offset_of(again) == 42


@pytest.mark.parametrize("text", ['a","offset":9,"deliveries":7,', '\\","deliveries":7,"', '"deliveries":7,'])
def test_a_key_that_looks_like_a_row_changes_nothing(text: str) -> None:
    """Offset and deliveries are found in the row's text, where a key cannot imitate them."""
    _, first = row_of(Record(key=text.encode(), topic="t"), ARRIVAL_US)

    assert offset_of(first) == 42
    assert json.loads(delivered_again(first)) == json.loads(first) | {"deliveries": 2}
