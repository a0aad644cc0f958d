"""One app process under test: started on a free port, waited for, killed; its output is shown when it disappoints."""

import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

ROOT = Path(__file__).parent.parent

# One factor on every time-out, for slow machines. Two tests at once take turns on the cores, and Java starts more than one broker.
PATIENCE = float(os.environ.get("TEST_PATIENCE", "2" if "PYTEST_XDIST_WORKER" in os.environ else "1"))


# Below those that the system gives to outgoing connections (32768 and up), which could take one before its owner has it.
_ports = iter(random.sample(range(10_000, 32_000), 22_000))


def free_port() -> int:
    """A port that nobody holds, each time another one."""
    for port in _ports:
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("all ports have been given out")


def wait_for(what: Callable[[], T], text: str, seconds: float = 30) -> T:
    """The first true result of `what`; after so many seconds a failure that shows the last one."""
    deadline = time.monotonic() + seconds * PATIENCE
    while not (result := what()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{text}: not within {seconds * PATIENCE:g} s; at last {result!r}")
        time.sleep(0.02)
    return result


class Answer:
    def __init__(self, status: int, headers: http.client.HTTPMessage, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"{self.status} {self.body[:500]!r}"


def request(port: int, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
    """Raises OSError or http.client.HTTPException where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20 * PATIENCE)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def run(*arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """One command of the app, to its end; `settings` are its environment beside ours."""
    return subprocess.run(
        [sys.executable, "-m", "labapp", *arguments],
        env=environment(settings),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60 * PATIENCE,
    )


def environment(settings: dict[str, object]) -> dict[str, str]:
    """Ours without any setting of Kafka, Faust, OpenTelemetry or the lab, and with these."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "FAUST_", "LAB_", "OTEL_"))}
    return {**ours, **{name: str(value) for name, value in settings.items()}}


class Worker:
    """A `faust worker` process; `settings` are its environment beside ours. `module` has the command. It ends with the test."""

    def __init__(self, arguments: Iterable[str] = (), module: str = "labapp", **settings: object) -> None:
        self.port = int(str(settings.setdefault("PORT", free_port())))
        self._log = tempfile.NamedTemporaryFile("w+", prefix="worker-", suffix=".log")  # noqa: SIM115 (open as long as the process)
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, "worker", "-l", "info", *arguments],
            env=environment(settings),
            cwd=ROOT,
            stdout=self._log,
            stderr=self._log,
        )

    @property
    def log(self) -> str:
        return Path(self._log.name).read_text()

    def ready(self, seconds: float = 30) -> "Worker":
        def answer() -> Answer | None:
            assert self.process.poll() is None, f"The worker ended with {self.process.returncode}:\n{self.log}"
            try:
                return answer if (answer := self.get("/health/ready")).status == 200 else None
            except OSError:
                return None

        try:
            wait_for(answer, "worker ready", seconds)
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{self.log}") from None
        return self

    def get(self, path: str, **headers: str) -> Answer:
        return request(self.port, "GET", path, None, headers)

    def post(self, event: object, key: str | None = None) -> Answer:
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        return request(self.port, "POST", "/", json.dumps(event).encode(), headers)

    def rows(self) -> list[dict[str, Any]]:
        """All rows that this worker keeps, newest first; waits where they are just being restored."""
        rows, cursor = [], ""
        while True:
            page = wait_for(lambda path=f"/events?limit=1000{cursor}": (answer := self.get(path)).status == 200 and answer, "rows").json
            rows += page["events"]
            if page["next"] is None:
                return rows
            cursor = f"&before={page['next']}"

    def metric(self, sample: str) -> float | None:
        """The value of a sample of `/metrics`, by its name and labels as the text has them; None where it is missing."""
        found = re.search(f"^{re.escape(sample)} (.+)$", self.get("/metrics").body.decode(), re.MULTILINE)
        return float(found[1]) if found else None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 10) -> int:
        """Exit code after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"The worker did not stop within {seconds} s:\n{self.log}") from None

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        self._log.close()


class Sender:
    """Posts events one after the other, in the background; `acknowledged` has the keys that were answered 200."""

    def __init__(self, producer: Worker) -> None:
        self.producer, self.acknowledged, self._stopped = producer, [], threading.Event()
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _send(self) -> None:
        number = 0
        while not self._stopped.is_set():
            try:
                answer = self.producer.post({"id": (number := number + 1)})
            except (OSError, http.client.HTTPException):  # the worker is gone
                continue
            if answer.status == 200:
                self.acknowledged.append(answer.json["key"])

    def wait_for(self, count: int) -> None:
        wait_for(lambda: len(self.acknowledged) >= count, f"{count} events acknowledged")

    def stop(self) -> set[str]:
        self._stopped.set()
        self._thread.join()
        return set(self.acknowledged)
