"""The stream of rows, as any client has it."""

import json
import time
from http.client import HTTPResponse
from urllib.request import Request, urlopen

from labapp.lab import Lab
from tests.worker import PATIENCE, request


def test_stream_goes_on_from_its_last_id(lab: Lab) -> None:
    """A client that was cut off goes on from its Last-Event-ID: no row is left out, none comes twice."""
    keys = [f"stream-{time.time_ns()}-{number}" for number in range(60)]
    got: list[str] = []
    with _stream(lab, "") as stream:
        _post(lab, keys[:30])
        last = _read(stream, got, 20)  # cut in the middle
    _post(lab, keys[30:])
    with _stream(lab, last) as stream:
        _read(stream, got, 40)

    assert sorted(got) == sorted(keys)


def _post(lab: Lab, keys: list[str]) -> None:
    for key in keys:
        request(lab.ports["producer"], "POST", "/", b'{\n"id": 1}', {"Content-Type": "application/json", "Idempotency-Key": key})


def _stream(lab: Lab, last_id: str) -> HTTPResponse:
    headers = {"Last-Event-ID": last_id} if last_id else {}
    stream: HTTPResponse = urlopen(
        Request(f"http://localhost:{lab.ports['consumer']}/events/stream", headers=headers), timeout=20 * PATIENCE
    )
    while not stream.readline().startswith(b"id: "):
        pass
    return stream


def _read(stream: HTTPResponse, keys: list[str], count: int) -> str:
    """Reads so many rows and returns the last one's id."""
    last = ""
    while count:
        name, _, text = stream.readline().decode().rstrip("\n").partition(": ")
        if name == "id":
            last = text
        elif name == "data":
            keys.append(json.loads(text)["key"])
            count -= 1
    return last
