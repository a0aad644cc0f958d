"""`/asyncapi.json`: the content of the topics, as an AsyncAPI 3.0 document, made from the same types as HTTP's answers."""

from functools import cache
from typing import Any

from labapp import settings
from labapp.topics import CHANGELOG
from labapp.web import shapes
from labapp.web.openapi import VERSION, Schemas

_KEY = {"type": "string", "description": "The event's key, UTF-8."}
_PROTOCOL = "kafka-secure" if settings.KAFKA_SECURITY_PROTOCOL.endswith("SSL") else "kafka"
_ANYTHING = {"description": "The bytes of the record that could not be recorded, untouched."}


@cache
def document() -> dict[str, Any]:
    schemas = Schemas()
    messages = {
        "event": _message("An event, as it was posted.", schemas.of(shapes.Produced), schemas.of(shapes.RecordHeaders)),
        "row": _message("What the table keeps of an event. A message without a value deletes the row.", schemas.of(shapes.Row)),
        "deadLetter": _message("A record that could not be recorded.", _ANYTHING, schemas.of(shapes.DeadLetterHeaders)),
    }
    channels = {
        "events": _channel(settings.KAFKA_TOPIC, "event"),
        "rows": _channel(CHANGELOG, "row", {"topicConfiguration": {"cleanup.policy": ["compact"]}}),
        "deadLetters": _channel(settings.DEAD_LETTER_TOPIC, "deadLetter"),
    }
    operations = {
        "produce": _operation("send", "events", "By POST /."),
        "consume": _operation("receive", "events", f"By the group {settings.CONSUMER_GROUP}, each record at least once."),
        "record": _operation("send", "rows", "Before the event's offset is committed."),
        "restore": _operation("receive", "rows", "When partitions are assigned."),
        "bury": _operation("send", "deadLetters", "Before the record's offset is committed."),
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "labapp", "version": VERSION, "description": "The topics that this app produces to and consumes from."},
        "defaultContentType": "application/json",
        "servers": {f"broker-{n}": {"host": host, "protocol": _PROTOCOL} for n, host in enumerate(settings.KAFKA_BOOTSTRAP_SERVERS, 1)},
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas.components},
    }


def _message(summary: str, payload: dict[str, Any], headers: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"summary": summary, "payload": payload, "bindings": {"kafka": {"key": _KEY}}, **({"headers": headers} if headers else {})}


def _channel(topic: str, message: str, binding: dict[str, Any] | None = None) -> dict[str, Any]:
    reference = {"$ref": f"#/components/messages/{message}"}
    return {"address": topic, "messages": {message: reference}, "bindings": {"kafka": {"topic": topic, **(binding or {})}}}


def _operation(action: str, channel: str, summary: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}
