"""/openapi.json and /asyncapi.json say what is so.

DESCRIBED_REQUESTS=100 makes ten times as many requests of the description.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from labapp.web.openapi import OPERATIONS
from tests import described, topics
from tests.conftest import Kafka
from tests.unit.apart import apart
from tests.worker import Worker, request, wait_for

EXAMPLES = os.environ.get("DESCRIBED_REQUESTS", "10")  # of each operation
SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
JSON = {"Content-Type": "application/json"}
# Files of the page, and what is Faust's own.
LEFT_OUT = ("/static/", "/table/", "/router/")


@pytest.fixture(scope="module")
def worker(kafka: Kafka) -> Iterator[Worker]:
    worker = Worker(KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap, KAFKA_TOPIC="described", CONSUMER_GROUP="described",
                    DEAD_LETTER_TOPIC="described-dlq", API_TOKEN="not-a-secret-at-all")  # fmt: skip
    try:
        yield worker.ready()
    finally:
        worker.close()


def document(worker: Worker) -> dict:
    return worker.get("/openapi.json").json


def test_the_documents_are_valid(worker: Worker) -> None:
    """OpenAPI 3.1 by its own schema; AsyncAPI 3.0 in what it refers to, with schemas that are schemas."""
    validate(document(worker))

    asyncapi = worker.get("/asyncapi.json").json
    assert asyncapi["asyncapi"] == "3.0.0"
    for reference in references(asyncapi):
        place = asyncapi
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]
    for message in asyncapi["components"]["messages"].values():
        Draft202012Validator.check_schema(message["payload"])
    assert {channel["address"] for channel in asyncapi["channels"].values()} >= {"described", "described-dlq"}


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from ([value["$ref"]] if "$ref" in value else [])
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from references(one)


@apart
def test_every_route_is_described() -> None:
    """But those that are left out on purpose; and nothing is described that is not there."""
    from labapp.app import app

    app.finalize()
    app.discover()
    app.web.init_server()
    found = [(route.method, route.resource.canonical) for route in app.web.web_app.router.routes()]
    routes = {(method, path) for method, path in found if method not in ("HEAD", "OPTIONS") and not path.startswith(LEFT_OUT)}

    assert routes == {(operation.method.upper(), operation.path) for operation in OPERATIONS}


def answers(worker: Worker, token: dict[str, str], key: str) -> Iterator[tuple[str, str, tuple]]:
    """Path as described, method, and what to ask."""
    yield "/", "POST", ("/", b'{"id":1}', JSON | token)
    yield "/", "POST", ("/", b'{"id":1}', JSON)
    yield "/", "POST", ("/", b"soon", JSON | token)
    yield "/", "POST", ("/", b'{"a":"%s"}' % (b"x" * 70_000), JSON | token)
    yield "/", "POST", ("/", b"{}", token)
    yield "/", "GET", ("/", None, {"Accept": "text/html"})
    for path in ("/", "/ping", "/events", "/stages", "/cluster", "/dead-letters", "/status", "/page", "/metrics"):
        yield path, "GET", (path,)
    for path in ("/health/live", "/health/ready", "/openapi.json", "/asyncapi.json"):
        yield path, "GET", (path,)
    yield "/events", "GET", ("/events?limit=1",)
    yield "/events", "GET", ("/events?limit=0",)
    yield "/events/{key}", "GET", (f"/events/{key}",)
    yield "/events/{key}", "GET", ("/events/nothing",)
    yield "/events/stream", "GET", ("/events/stream?after=soon",)
    yield "/stages", "GET", ("/stages?window=x",)
    for partition in (0, 1, 7, "x"):
        yield "/records", "GET", (f"/records?partition={partition}",)
        yield "/offsets", "GET", (f"/offsets?partition={partition}&first=0",)
    for query in (f"?key={key}&key=nothing", ""):
        yield "/keys", "GET", (f"/keys{query}",)
    yield "/lab/{action}/{name}", "POST", ("/lab/stop/consumer", b"", token)


def test_real_answers_are_as_described(kafka: Kafka, worker: Worker) -> None:
    """Status, media type and every field, for each path; a dead letter and a record of others among what is shown."""
    token = {"Authorization": "Bearer not-a-secret-at-all"}
    topics.write(kafka.bootstrap, "described", [(None, b'{"id": 2}'), (b"\xff", b"soon")])
    sent = request(worker.port, "POST", "/", b'{"id":1,"clicked":1}', JSON | token | {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"})
    key = sent.json["key"]
    wait_for(lambda: worker.get(f"/events/{key}").status == 200, "the row")
    wait_for(lambda: worker.get("/dead-letters").json["records"], "the dead letter")
    description, asked = document(worker), set()

    for path, method, arguments in answers(worker, token, key):
        described.check(description, method, path, request(worker.port, method, *arguments))
        asked.add((method.lower(), path))

    assert asked == {(operation.method, operation.path) for operation in OPERATIONS}


def test_a_producer_is_described_too(start_worker: Callable[..., Worker]) -> None:
    """What needs a consumer answers 404 there."""
    producer = start_worker(ROLE="producer").ready()
    description = document(producer)

    for path in ("/", "/ping", "/events", "/events/stream", "/stages", "/status", "/page", "/health/ready", "/metrics"):
        described.check(description, "GET", path, request(producer.port, "GET", path))


def test_the_stream_is_described(worker: Worker) -> None:
    """It does not end by itself, so it is only begun."""
    connection = HTTPConnection("127.0.0.1", worker.port, timeout=20)
    connection.request("GET", "/events/stream")
    response = connection.getresponse()

    assert response.headers.get_content_type() in document(worker)["paths"]["/events/stream"]["get"]["responses"]["200"]["content"]
    connection.close()


def test_requests_made_from_the_description(worker: Worker, tmp_path: Path) -> None:
    """Valid or not, each is answered as described, and none with an error of the worker's own."""
    done = subprocess.run(
        [
            *(SCHEMATHESIS, "run", f"http://127.0.0.1:{worker.port}/openapi.json", "--exclude-path", "/events/stream"),  # it does not end
            *("--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"),
            *("--phases", "coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", "1", "--generation-database", "none", "--no-color"),
            *("--header", "Authorization: Bearer not-a-secret-at-all"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in worker.log
