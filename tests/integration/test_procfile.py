"""The Procfile's commands as a platform starts them: `$PORT` given, settings in the environment, SIGTERM to end."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.worker import PATIENCE, Answer, free_port, request, wait_for

ROOT = Path(__file__).parent.parent.parent
STOP_SECONDS = 10  # Docker's patience; Heroku has 30


@pytest.fixture
def environment(kafka: Any) -> dict[str, str]:
    """What a platform sets, with names of Kafka's that no other test uses."""
    own = f"procfile-{uuid4().hex[:8]}"
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PORT": str(free_port()),
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "KAFKA_TOPIC": own,
        "CONSUMER_GROUP": own,
        "DEAD_LETTER_TOPIC": f"{own}-dlq",
    }


def honcho(process_type: str) -> list[str]:
    # Honcho lets .env beat the environment, and a platform has no .env.
    return [sys.executable, "-m", "honcho", "-f", str(ROOT / "Procfile"), "-e", os.devnull, "start", process_type]


def release(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = honcho("release")
    return subprocess.run(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60 * PATIENCE
    )


@contextmanager
def started(process_type: str, environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("w") as output:
        process = subprocess.Popen(honcho(process_type), env=environment, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()  # honcho kills its own after 5 s
            process.wait(STOP_SECONDS * PATIENCE)


def answered(port: int, path: str, status: int = 200) -> Answer | None:
    try:
        return answer if (answer := request(port, "GET", path)).status == status else None
    except OSError:
        return None


def test_release_may_be_repeated(environment: dict[str, str]) -> None:
    """`release` makes the topics, and does no harm where they are made."""
    first, second = release(environment), release(environment)

    assert (first.returncode, second.returncode) == (0, 0), first.stdout + second.stdout
    assert f"{environment['KAFKA_TOPIC']}: 2 partitions" in second.stdout


def test_release_fails_where_no_broker_answers(environment: dict[str, str]) -> None:
    """A release without Kafka is refused with a sentence, so that the platform keeps what runs."""
    failed = release({**environment, "KAFKA_BOOTSTRAP_SERVERS": f"localhost:{free_port()}", "START_TIMEOUT_SECONDS": "1"})

    assert failed.returncode != 0
    assert "No Kafka broker answers at localhost:" in failed.stdout
    assert "Traceback" not in failed.stdout


@pytest.mark.parametrize("process_type", ["web", "producer", "consumer"])
def test_process_listens_on_its_port_and_ends_on_sigterm(process_type: str, environment: dict[str, str], tmp_path: Path) -> None:
    """Each type is ready on $PORT, and ends by itself soon after SIGTERM."""
    log = tmp_path / "log"
    port = int(environment["PORT"])

    with started(process_type, environment, log) as process:
        try:
            wait_for(lambda: process.poll() is not None or answered(port, "/health/ready"), "ready", 60)
            assert process.poll() is None, "it ended"
            pong = request(port, "GET", "/ping").body.decode()
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS * PATIENCE)
        except BaseException:
            print(log.read_text())
            raise

    assert pong == ("pong" if process_type == "producer" else f"pong:{environment['CONSUMER_GROUP']}")
    assert "SIGKILL" not in log.read_text()
    assert "Closing event loop" in log.read_text()
