"""OpenTelemetry: the path of an event as spans, sent by OTLP over HTTP if OTEL_EXPORTER_OTLP_ENDPOINT is set.

    POST /               server, continues the request's `traceparent`
    first-topic send     producer; the record's header `traceparent` is this span's
    first-topic process  consumer, a span for each event, from its turn until the row is acknowledged. Its event `recorded` is the stage
                         *recorded*, by the broker's clock

The program that begins a trace decides whether it is sampled (OTEL_TRACES_SAMPLER). Of a record whose trace is not sampled, only the
headers are read. Without the setting nothing is imported, and decorated functions stay as they are.
"""

import logging
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import wraps
from types import SimpleNamespace
from typing import Any, TypeVar

from aiohttp import web
from faust.types import TP

from labapp import settings
from labapp.event.record import traceparent_in
from labapp.event.row import Record, offset_of, own_key, row_key, stages_of

Call = TypeVar("Call", bound=Callable[..., Awaitable[Any]])

ON = bool(settings.OTEL_EXPORTER_OTLP_ENDPOINT)
_NAMES = ("traceparent", "tracestate")

if ON:
    try:
        from faust.contrib.opentelemetry import OpenTelemetrySensor
        from opentelemetry import propagate
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
    except ImportError as exc:
        raise settings.cant_start(
            f"The setting OTEL_EXPORTER_OTLP_ENDPOINT can't be used without OpenTelemetry's packages ({exc}): "
            "pip install -r requirements-otel.txt, or leave it empty."
        ) from None

    _provider = TracerProvider(resource=Resource.create({"service.name": settings.OTEL_SERVICE_NAME}))
    _exporter = OTLPSpanExporter(f"{settings.OTEL_EXPORTER_OTLP_ENDPOINT.rstrip('/')}/v1/traces")
    _provider.add_span_processor(BatchSpanProcessor(_exporter))
    # While the collector is away, the log has a line when spans are dropped, but not for each attempt.
    logging.getLogger(OTLPSpanExporter.__module__).setLevel(logging.ERROR)
    _tracer = _provider.get_tracer("labapp")
    propagate.set_global_textmap(TraceContextTextMapPropagator())  # the format of the records' headers, whatever OTEL_PROPAGATORS says
    # Faust's sensor is called by hand. If it were registered with the app, it would make one span of a batch, with the headers of the
    # last record. That span would end when the agent asks for the next batch.
    _sensor = OpenTelemetrySensor(tracer=_tracer)


@web.middleware
async def _server_span(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    if request.method != "POST":
        return await handler(request)
    attributes = {"http.request.method": request.method, "url.path": request.path, "url.scheme": request.scheme}
    sent = request.headers.getall("traceparent", [])
    parent = propagate.extract({name: request.headers[name] for name in _NAMES if name in request.headers} if len(sent) == 1 else {})
    with _tracer.start_as_current_span(f"POST {request.path}", parent, SpanKind.SERVER, attributes) as span:
        response = await handler(request)
        span.set_attribute("http.response.status_code", response.status)
        if response.status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        return response


MIDDLEWARES = [_server_span] if ON else []


def sent(produce: Call) -> Call:
    """Decorates `produce(topic, key, value, headers)` with a span until the acknowledgement. The record's headers carry its context."""
    if not ON:
        return produce

    @wraps(produce)
    async def traced(topic: str, key: bytes, value: bytes, headers: Iterable[tuple[str, bytes]]) -> Any:
        attributes = {
            "messaging.system": "kafka",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": topic,
            "messaging.kafka.message.key": key.decode(),
        }
        with _tracer.start_as_current_span(f"{topic} send", None, SpanKind.PRODUCER, attributes) as span:
            carrier: dict[str, str] = {}
            propagate.inject(carrier)
            others = [header for header in headers if header[0] not in _NAMES]
            appended = await produce(topic, key, value, [*others, *((name, text.encode()) for name, text in carrier.items())])
            span.set_attribute("messaging.destination.partition.id", str(appended.partition))
            span.set_attribute("messaging.kafka.message.offset", appended.offset)
            return appended

    return traced  # type: ignore[return-value]


def recorded(write: Call) -> Call:
    """Decorates `write(taken, writer, rows)` with a span for each record whose trace is sampled, until the batches are recorded.

    A span has the event `recorded` if its record has a row. `rows` are those of the batches' partition.
    """
    if not ON:
        return write

    @wraps(write)
    async def traced(taken: Iterable[Any], writer: Any, rows: Mapping[str, bytes]) -> None:
        begun: list[tuple[TP, int, Any, Any, Any]] = []
        for event in (one.event for one in taken):
            for record in event.value:
                if _is_sampled(record.headers):
                    # The sensor expects a stream, of which it uses only the app, and an event, of which it uses only the message.
                    tp = TP(record.topic, record.partition)
                    message: Any = SimpleNamespace(message=record)
                    state = _sensor.on_stream_event_in(tp, record.offset, event, message)
                    begun.append((tp, record.offset, event, message, state))
        try:
            await write(taken, writer, rows)
            for *_, message, state in begun:
                if state and (recorded_us := _recorded_us(message.message, rows)) is not None:
                    state["span"].add_event("recorded", timestamp=recorded_us * 1000)
        finally:
            for finished in reversed(begun):
                _sensor.on_stream_event_out(*finished)

    return traced  # type: ignore[return-value]


def _recorded_us(record: Record, rows: Mapping[str, bytes]) -> int | None:
    """When the record's row was recorded. None if it has no row, or the changelog keeps the client's time."""
    for key in (row_key(record), own_key(record)):
        if (row := rows.get(key)) is not None and offset_of(row) == record.offset:
            return stages_of(row).get("recorded_us")
    return None


def _is_sampled(headers: Iterable[tuple[str, bytes]]) -> bool:
    traceparent = traceparent_in(headers)
    return traceparent is not None and bool(int(traceparent[-2:], 16) & 1)


def give_up_after(seconds: float) -> None:
    """Drops the spans that the collector has not taken in that time. A collector that is away must not hold up the worker's stop."""
    if ON:
        timer = threading.Timer(seconds, _exporter.shutdown)
        timer.daemon = True
        timer.start()
