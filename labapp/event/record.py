"""From a request to a record: the key, the value and the headers that an event has in Kafka."""

import json
import re
from collections.abc import Iterable
from typing import Any

import orjson
import uuid_utils

from labapp.event.stages import local_time

BODY_BYTES_MAX = 64 * 1024
# The longest key that a request may give. Records of other programs may have longer keys.
KEY_LENGTH_MAX = 128

# `with_field` puts `produced` last.
_PRODUCED_LAST = re.compile(rb',?"produced":"\d\d:\d\d:\d\d:\d{3}"}$')
_KEY = re.compile(rf"[\x20-\x7e]{{1,{KEY_LENGTH_MAX}}}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Unusable(ValueError):
    """A request or a record is not an event. The text says why, for an HTTP answer or a dead letter's reason."""


def key_of(idempotency_key: str | None) -> str:
    """The request's key, or a new UUIDv7. Raises Unusable for a key that is not 1 to 128 printable ASCII characters."""
    if idempotency_key is None:
        return str(uuid_utils.uuid7())
    if not _KEY.fullmatch(idempotency_key):
        raise Unusable("The Idempotency-Key is not 1 to 128 printable ASCII characters")
    return idempotency_key


def json_object(text: bytes, what: str) -> dict[str, Any]:
    """The JSON object in the text. Raises Unusable, whose sentence calls the text `what`."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise Unusable(f"The {what} is not JSON: {exc}") from None
    if not isinstance(found, dict):
        raise Unusable(f"The {what} is JSON, but not an object")
    return found


def record_value(body: bytes, event: dict[str, Any], produced_us: int) -> bytes:
    """The record's value: every posted field, and `produced` in the workshop's format."""
    if "produced" in event:
        return orjson.dumps({**event, "produced": local_time(produced_us)})
    return with_field(body, "produced", local_time(produced_us))


def is_same_request(value: bytes, other: bytes) -> bool:
    """Whether two record values were posted with the same JSON object. `produced` is ignored, because it differs between requests."""
    posted_text, other_text = _PRODUCED_LAST.sub(b"", value), _PRODUCED_LAST.sub(b"", other)
    if posted_text == other_text:
        return True
    # The text may differ in white space or in the order of fields. Unlike orjson, json keeps whole numbers beyond 64 bits.
    objects = json.loads(value), json.loads(other)
    return all(isinstance(one, dict) for one in objects) and _without_produced(objects[0]) == _without_produced(objects[1])


def _without_produced(event: dict[str, Any]) -> dict[str, Any]:
    return {name: field for name, field in event.items() if name != "produced"}


def with_field(json_object: bytes, name: str, text: str) -> bytes:
    """The JSON object with one more field. It is not decoded and encoded again, which would change numbers beyond 64 bits."""
    head = json_object.rstrip()[:-1].rstrip()
    comma = b"" if head.endswith(b"{") else b","
    return b'%s%s"%s":"%s"}' % (head, comma, name.encode(), text.encode())


def traceparent_of(sent: list[str]) -> str | None:
    """The request's `traceparent` (W3C Trace Context) if it was sent once and is valid, else None."""
    return sent[0] if len(sent) == 1 and _TRACEPARENT.fullmatch(sent[0]) else None


def traceparent_in(headers: Iterable[tuple[str, bytes]]) -> str | None:
    """The `traceparent` of a record's headers, under the same conditions."""
    return traceparent_of([text.decode(errors="replace") for name, text in headers if name == "traceparent" and text])


def record_headers(received_us: int, produced_us: int, traceparent: str | None = None) -> list[tuple[str, bytes]]:
    headers = [("received_us", b"%d" % received_us), ("produced_us", b"%d" % produced_us)]
    if traceparent:
        headers.append(("traceparent", traceparent.encode()))
    return headers
