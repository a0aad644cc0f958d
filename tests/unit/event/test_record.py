"""How a request becomes a record."""

import json

import pytest

from labapp.event.record import Unusable, json_object, key_of, with_field


@pytest.mark.parametrize("body", [b"", b"soon", b"[]", b'"text"', b"1", b"null", b'{"a":1', b"\xff", b'{"a":1}{"b":2}', b"{'a':1}"])
def test_what_is_posted_is_a_json_object(body: bytes) -> None:
    """Anything else is refused with a sentence."""
    with pytest.raises(Unusable, match=r"^The body is"):
        json_object(body, "body")


@pytest.mark.parametrize("key", ["", "x" * 129, "ä", "tab\t", "line\n"])
def test_a_bad_key_is_refused(key: str) -> None:
    """1 to 128 printable ASCII characters."""
    with pytest.raises(Unusable, match="Idempotency-Key"):
        key_of(key)


def test_a_key_is_made_where_none_is_given() -> None:
    """A UUIDv7, so keys made one after the other sort so."""
    keys = [key_of(None) for _ in range(100)]

    assert keys == sorted(set(keys))
    assert {key[14] for key in keys} == {"7"}


@pytest.mark.parametrize("spaced", [b"{}", b" { } ", b'{"a":1}\n', b' {"a":{}} '])
def test_a_field_is_added_to_any_object(spaced: bytes) -> None:
    """Without reading and writing it anew."""
    assert json.loads(with_field(spaced, "produced", "now")) == json.loads(spaced) | {"produced": "now"}
