"""Spans of an event's way, as a collector of OpenTelemetry's receives them."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests import topics
from tests.conftest import Kafka
from tests.worker import Worker, free_port, request, run, wait_for

StartWorker = Callable[..., Worker]
TRACE, CLIENT = "1" * 32, "2" * 16
JSON = {"Content-Type": "application/json"}


class Collector:
    """Takes OTLP over HTTP; `spans` are those received so far, by service."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.path == "/v1/traces"
                for of in sent.resource_spans:
                    [service] = [one.value.string_value for one in of.resource.attributes if one.key == "service.name"]
                    collector.spans += [(service, span) for scope in of.scope_spans for span in scope.spans]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

    def of(self, name: str, trace: str) -> list[tuple[str, Span]]:
        return [(service, span) for service, span in self.spans if span.name == name and span.trace_id.hex() == trace]


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def test_one_event_is_one_trace(kafka: Kafka, names: dict[str, str], start_worker: StartWorker, collector: Collector) -> None:
    """POST, send and process, of two workers, each the child of the one before; the record carries the second one's context."""
    topic = names["KAFKA_TOPIC"]
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": 50, "KAFKA_PARTITIONS": 1}
    producer = start_worker(ROLE="producer", OTEL_SERVICE_NAME="the-producer", **settings).ready()
    consumer = start_worker(ROLE="consumer", OTEL_SERVICE_NAME="the-consumer", **settings).ready()
    kept, dropped = f"00-{TRACE}-{CLIENT}-01", f"00-{'3' * 32}-{CLIENT}-00"
    sent = [request(producer.port, "POST", "/", b"{}", JSON | {"traceparent": value}) for value in (dropped, kept)]
    assert [answer.status for answer in sent] == [200, 200]

    [(last, process)] = wait_for(lambda: collector.of(f"{topic} process", TRACE), f"the consumer's span in {consumer.log}")
    [(first, post)] = wait_for(lambda: collector.of("POST /", TRACE), "the server's span")
    [(_, send)] = wait_for(lambda: collector.of(f"{topic} send", TRACE), "the producer's span")
    kinds = [span.kind for span in (post, send, process)]
    assert kinds == [Span.SPAN_KIND_SERVER, Span.SPAN_KIND_PRODUCER, Span.SPAN_KIND_CONSUMER]
    assert [span.parent_span_id.hex() for span in (post, send, process)] == [CLIENT, post.span_id.hex(), send.span_id.hex()]
    assert (first, last) == ("the-producer", "the-consumer")
    assert post.start_time_unix_nano <= send.start_time_unix_nano <= process.start_time_unix_nano <= process.end_time_unix_nano
    values = {one.key: one.value for one in process.attributes}
    assert values["messaging.kafka.message.offset"].int_value == sent[1].json["offset"]
    assert values["messaging.consumer.group.name"].string_value == names["CONSUMER_GROUP"]
    [recorded] = process.events
    row = consumer.get(f"/events/{sent[1].json['key']}").json
    assert (recorded.name, recorded.time_unix_nano) == ("recorded", row["stages"]["recorded_us"] * 1000)
    [_, headers] = [dict(record.headers) for record in topics.read(kafka.bootstrap, topic)]
    assert headers["traceparent"] == f"00-{TRACE}-{send.span_id.hex()}-01".encode()
    assert {span.trace_id.hex() for _, span in collector.spans} == {TRACE}, "what is not to be kept is not sent"


def test_each_event_of_a_batch_has_its_span(kafka: Kafka, names: dict[str, str], start_worker: StartWorker, collector: Collector) -> None:
    """Events of one batch belong to traces of their own; one that comes without a trace begins none, and all are recorded."""
    worker = start_worker(KAFKA_PARTITIONS=1, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, OTEL_BSP_SCHEDULE_DELAY=50).ready()
    traced = {"a" * 32: "4" * 16, "b" * 32: "5" * 16}
    topics.write(kafka.bootstrap, names["KAFKA_TOPIC"], [(b"none", b"{}")] * 100, 0)
    for trace, parent in traced.items():
        topics.write(
            kafka.bootstrap, names["KAFKA_TOPIC"], [(trace.encode(), b"{}")], 0, [("traceparent", f"00-{trace}-{parent}-01".encode())]
        )
    wait_for(lambda: len(worker.rows()) == 100 + len(traced), "all rows")

    wait_for(lambda: len(collector.spans) >= 2, "their spans")
    assert worker.stop() == 0, worker.log
    assert {span.trace_id.hex(): span.parent_span_id.hex() for _, span in collector.spans} == traced
    assert len(collector.spans) == 2
    assert [event.name for _, span in collector.spans for event in span.events] == ["recorded"] * 2


def test_an_absent_collector_holds_nothing_up(start_worker: StartWorker) -> None:
    """Events go through, the log says that spans don't, and the worker stops in time with exit code 0."""
    absent = f"http://127.0.0.1:{free_port()}"
    worker = start_worker(KAFKA_PARTITIONS=1, OTEL_EXPORTER_OTLP_ENDPOINT=absent, OTEL_BSP_SCHEDULE_DELAY=50).ready()
    worker.post({})
    wait_for(lambda: "Failed to export" in worker.log, "the line in the log")
    key = worker.post({}).json["key"]
    wait_for(lambda: worker.get(f"/events/{key}").status == 200, "the row")

    assert worker.stop() == 0, worker.log


def test_without_the_packages(tmp_path: Path) -> None:
    """Tracing asked for, and nothing there to do it: one sentence that says what to do, and an exit code."""
    (tmp_path / "opentelemetry.py").write_text("raise ModuleNotFoundError('no such package')")

    ended = run("worker", OTEL_EXPORTER_OTLP_ENDPOINT="http://localhost:4318", PYTHONPATH=tmp_path)

    assert ended.returncode == 1
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in ended.stderr
    assert "requirements-otel.txt" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
