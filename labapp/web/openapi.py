"""What HTTP takes and answers, as an OpenAPI 3.1 document: the paths are listed here, the shapes are the types in the code."""

from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from labapp.event.gaps import Summary
from labapp.kafka.overview import Overview
from labapp.web import shapes

VERSION = "1.0"

_TEXT = {"text/plain": {"schema": {"type": "string"}}}
_JSON_OBJECT = {"application/json": {"schema": {"type": "object"}}}
_HTML = {"text/html": {"schema": {"type": "string"}}}
_STREAM = {"text/event-stream": {"schema": {"type": "string", "description": "A row a message; the id is a place to go on from."}}}
_SENTENCES = {
    200: "As asked.",
    400: "The request is not as described here.",
    401: "The worker has an API_TOKEN, and the request does not bring it.",
    403: "Only the lab's own page may ask.",
    404: "There is nothing of that kind here, or this worker does not consume.",
    405: "This worker does not produce.",
    408: "The body did not arrive in time.",
    409: "Another experiment is under way.",
    413: "The body, or the record, is too large.",
    415: "The Content-Type is not application/json.",
    502: "The lab refused, or failed.",
    503: "Not at the moment.",
    504: "The lab took too long.",
}


@dataclass(frozen=True)
class Operation:
    """`answers` by status: a type, or content by its media type. `errors`: statuses of our own shape. `parameters` by place and name."""

    method: str
    path: str
    summary: str
    answers: dict[int, Any]
    errors: tuple[int, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    body: Any = None


def _whole(default: int, most: int) -> Any:
    return Annotated[int, Meta(ge=1, le=most, extra_json_schema={"default": default})]


OPERATIONS = [
    Operation(
        *("post", "/", "Send an event"),
        {200: shapes.Sent},
        (400, 401, 405, 408, 413, 415, 503),
        {"header Idempotency-Key": shapes.IdempotencyKey, "header traceparent": shapes.Traceparent},
        shapes.Posted,
    ),
    Operation(
        *("get", "/", "The page; or what was consumed since the last call, each event once; or where consumers are"),
        {200: {"application/json": list[dict[str, Any] | str], **_HTML}},
    ),
    Operation("get", "/ping", "Whether the worker is there", {200: _TEXT}),
    Operation(
        *("get", "/events", "The newest rows of this worker"),
        {200: shapes.Events},
        (400, 404, 503),
        {"query limit": _whole(100, 1000), "query before": shapes.Cursor},
    ),
    Operation(
        *("get", "/events/{key}", "One row, from whichever worker has it"),
        {200: shapes.Row},
        (404, 503),
        {"path key!": Annotated[str, Meta(min_length=1)], "query local": Annotated[str, Meta(description="Ask this worker only.")]},
    ),
    Operation(
        *("get", "/events/stream", "Rows as they are recorded"),
        {200: _STREAM},
        (400, 404),
        {"header Last-Event-ID": shapes.Place, "query after": shapes.Place},
    ),
    Operation(
        *("get", "/stages", "Where the time of the newest events went"),
        {200: Summary},
        (400, 404, 503),
        {"query window": _whole(500, 1000)},
    ),
    Operation("get", "/cluster", "Brokers, topics, groups and their lag", {200: Overview}, (503,)),
    Operation(
        *("get", "/records", "The newest records of a partition"),
        {200: shapes.Records},
        (400, 404, 503),
        {"query partition!": shapes.Number, "query topic": str, "query limit": _whole(20, 100)},
    ),
    Operation(
        *("get", "/dead-letters", "The newest dead letters"),
        {200: shapes.Records},
        (400, 503),
        {"query limit": _whole(20, 100)},
    ),
    Operation("get", "/status", "What the worker does now", {200: shapes.Status}),
    Operation("get", "/page", "What the page has to know", {200: shapes.Facts}),
    Operation("get", "/health/live", "Whether it lives", {200: shapes.Alive}),
    Operation("get", "/health/ready", "Whether it is ready, or why not", {200: shapes.Health, 503: shapes.Health}),
    Operation("get", "/metrics", "Prometheus text", {200: _TEXT}),
    Operation("get", "/openapi.json", "This document", {200: _JSON_OBJECT}),
    Operation("get", "/asyncapi.json", "The topics, as an AsyncAPI document", {200: _JSON_OBJECT}),
    Operation(
        *("post", "/lab/{action}/{name}", "Stop, start or kill a process of the local lab"),
        {200: shapes.Said},
        (401, 403, 404, 409, 502, 504),
        {"path action!": str, "path name!": str},
    ),
]


class Schemas:
    """JSON schemas of types, and in `components` what they refer to."""

    def __init__(self) -> None:
        self.components: dict[str, Any] = {}

    def of(self, kind: Any) -> dict[str, Any]:
        [schema], components = msgspec.json.schema_components([kind], ref_template="#/components/schemas/{name}")
        self.components |= components
        return schema


@cache
def document() -> dict[str, Any]:
    schemas, paths = Schemas(), dict[str, Any]()
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "labapp", "version": VERSION, "description": "One worker: events in, rows out, and what it knows of Kafka."},
        "paths": paths,
        "components": {"schemas": schemas.components, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _described(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    def content(kind: Any) -> dict[str, Any]:
        by_media_type = kind if isinstance(kind, dict) else {"application/json": kind}
        return {media: what if isinstance(what, dict) else {"schema": schemas.of(what)} for media, what in by_media_type.items()}

    parameters = []
    for text, kind in operation.parameters.items():
        place, _, name = text.partition(" ")
        parameters.append({"name": name.rstrip("!"), "in": place, "required": name.endswith("!"), "schema": schemas.of(kind)})
    answers = operation.answers | dict.fromkeys(operation.errors, shapes.Error)
    described = {
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {str(status): {"description": _SENTENCES[status], "content": content(kind)} for status, kind in answers.items()},
    }
    if operation.body:
        described["requestBody"] = {"required": True, "content": content(operation.body)}
    if operation.method == "post":
        described["security"] = [{}, {"token": []}]
    return described
