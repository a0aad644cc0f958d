"""`/openapi.json`: HTTP's requests and answers, as an OpenAPI 3.1 document. This module lists the paths. Types describe the shapes."""

from dataclasses import dataclass
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
_STREAM_TEXT = (
    "Each message is a row. Its id is a position to resume from. An event `gap` names offsets whose rows may have expired unsent. "
    "An event `again` has a row whose record was delivered again. It is not sent to a client that was away."
)
_STREAM = {"text/event-stream": {"schema": {"type": "string", "description": _STREAM_TEXT}}}
# These need no token, whatever API_TOKEN_FOR says.
_WITHOUT_TOKEN = ("/ping", "/health/live", "/health/ready")
_SENTENCES = {
    200: "As asked.",
    400: "The request is not as described here.",
    401: "The request lacks the worker's API_TOKEN.",
    403: "The page that sent the request is not allowed to.",
    404: "There is nothing of that kind here, or this worker does not consume.",
    405: "This worker does not produce.",
    408: "The body did not arrive in time.",
    409: "Another experiment is under way.",
    413: "The body, or the record, is too large.",
    415: "The Content-Type is not application/json.",
    421: "The header Host is not a name of this worker.",
    502: "The lab refused, or failed.",
    503: "This is not possible at the moment.",
    504: "The lab took too long.",
}


@dataclass(frozen=True)
class Parameter:
    location: str  # query, header or path
    name: str
    kind: Any
    required: bool = False


@dataclass(frozen=True)
class Operation:
    """`answers` has, for each status, a type or contents by media type. `errors` are the statuses whose body is shapes.Error."""

    method: str
    path: str
    summary: str
    answers: dict[int, Any]
    errors: tuple[int, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    body: Any = None


def _whole(default: int, most: int) -> Any:
    return Annotated[int, Meta(ge=1, le=most, extra_json_schema={"default": default})]


def _query(name: str, kind: Any, required: bool = False) -> Parameter:
    return Parameter("query", name, kind, required)


def _header(name: str, kind: Any) -> Parameter:
    return Parameter("header", name, kind)


def _path(name: str, kind: Any = str) -> Parameter:
    return Parameter("path", name, kind, required=True)


OPERATIONS = [
    Operation(
        method="post",
        path="/",
        summary="Send an event",
        answers={200: shapes.Sent},
        errors=(400, 405, 408, 413, 415, 503),
        parameters=(_header("Idempotency-Key", shapes.IdempotencyKey), _header("traceparent", shapes.Traceparent)),
        body=shapes.Posted,
    ),
    Operation(
        method="get",
        path="/",
        summary="The page, or the events consumed since the last call (each event once), or the addresses of consumers",
        answers={200: {"application/json": list[dict[str, Any] | str], **_HTML}},
        errors=(403,),
    ),
    Operation(method="get", path="/ping", summary="Whether the worker is there", answers={200: _TEXT}),
    Operation(
        method="get",
        path="/events",
        summary="The newest rows of this worker",
        answers={200: shapes.Events},
        errors=(400, 404, 503),
        parameters=(_query("limit", _whole(shapes.ROWS_DEFAULT, shapes.ROWS_MAX)), _query("before", shapes.Cursor)),
    ),
    Operation(
        method="get",
        path="/events/{key}",
        summary="One row, from whichever worker has it",
        answers={200: shapes.Row},
        errors=(404, 503),
        parameters=(
            _path("key", Annotated[str, Meta(min_length=1)]),
            _query("local", Annotated[str, Meta(description="Ask this worker only.")]),
            _header("Prefer", Annotated[str, Meta(description="`wait=5` waits up to 5 s for an event not recorded yet (RFC 7240).")]),
        ),
    ),
    Operation(
        method="get",
        path="/events/stream",
        summary="Rows as they are recorded",
        answers={200: _STREAM},
        errors=(400, 404, 503),
        parameters=(_header("Last-Event-ID", shapes.StreamId), _query("after", shapes.StreamId)),
    ),
    Operation(
        method="get",
        path="/offsets",
        summary="Which of 1,000 offsets from `first` on have a row, at the worker that has the partition",
        answers={200: shapes.Recorded},
        errors=(400, 404, 503),
        parameters=(_query("partition", shapes.Number, required=True), _query("first", shapes.Number, required=True)),
    ),
    Operation(
        method="get",
        path="/keys",
        summary=f"Which of these keys, {shapes.KEYS_MAX} at most, have a row at this worker",
        answers={200: shapes.Found},
        errors=(400, 404, 503),
        parameters=(_query("key", shapes.Keys, required=True),),
    ),
    Operation(
        method="get",
        path="/stages",
        summary="Where the time of the newest events went",
        answers={200: Summary},
        errors=(400, 404, 503),
        parameters=(_query("window", _whole(shapes.WINDOW_DEFAULT, shapes.ROWS_MAX)),),
    ),
    Operation(method="get", path="/cluster", summary="Brokers, topics, groups and their lag", answers={200: Overview}, errors=(503,)),
    Operation(
        method="get",
        path="/records",
        summary="The newest records of a partition",
        answers={200: shapes.Records},
        errors=(400, 404, 503),
        parameters=(
            _query("partition", shapes.Number, required=True),
            _query("topic", str),
            _query("limit", _whole(shapes.RECORDS_DEFAULT, shapes.RECORDS_MAX)),
        ),
    ),
    Operation(
        method="get",
        path="/dead-letters",
        summary="The newest dead letters",
        answers={200: shapes.Records},
        errors=(400, 503),
        parameters=(_query("limit", _whole(shapes.RECORDS_DEFAULT, shapes.RECORDS_MAX)),),
    ),
    Operation(method="get", path="/status", summary="The state of the worker", answers={200: shapes.Status}),
    Operation(method="get", path="/page", summary="What the page has to know", answers={200: shapes.Facts}),
    Operation(method="get", path="/health/live", summary="Whether it lives", answers={200: shapes.Alive}),
    Operation(
        method="get", path="/health/ready", summary="Whether it is ready, or why not", answers={200: shapes.Health, 503: shapes.Health}
    ),
    Operation(method="get", path="/metrics", summary="Prometheus text", answers={200: _TEXT}),
    Operation(method="get", path="/openapi.json", summary="This document", answers={200: _JSON_OBJECT}),
    Operation(method="get", path="/asyncapi.json", summary="The topics, as an AsyncAPI document", answers={200: _JSON_OBJECT}),
    Operation(
        method="post",
        path="/lab/{action}/{name}",
        summary="An experiment with the local lab: what to do, and to which part of it",
        answers={200: shapes.Said},
        errors=(400, 403, 404, 408, 409, 413, 502, 504),
        parameters=(_path("action"), _path("name")),
        body=shapes.Arguments,
    ),
]


class Schemas:
    """The JSON schemas of types. `components` has the schemas that they refer to."""

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
        "info": {"title": "labapp", "version": VERSION, "description": "The HTTP interface of one worker: events, rows and Kafka's state."},
        "paths": paths,
        "components": {"schemas": schemas.components, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _described(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    def content(kind: Any) -> dict[str, Any]:
        by_media_type = kind if isinstance(kind, dict) else {"application/json": kind}
        return {media: what if isinstance(what, dict) else {"schema": schemas.of(what)} for media, what in by_media_type.items()}

    parameters = [
        {"name": one.name, "in": one.location, "required": one.required, "schema": schemas.of(one.kind)} for one in operation.parameters
    ]
    errors = {*operation.errors, 421, *([] if operation.path in _WITHOUT_TOKEN else [401])}
    answers = operation.answers | dict.fromkeys(sorted(errors), shapes.Error)
    described = {
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {str(status): {"description": _SENTENCES[status], "content": content(kind)} for status, kind in answers.items()},
    }
    if operation.body:
        described["requestBody"] = {"required": True, "content": content(operation.body)}
    if operation.path not in _WITHOUT_TOKEN:
        described["security"] = [{}, {"token": []}]
    return described
