"""Every block of shell commands of README.md and docs/, in order, as written, in a copy of the repository and on real brokers.

Only what belongs to this machine is put in place of what the documents say: free ports, and for `secured` the broker and the password.
tests/documents.py lists the blocks that are not run, and why.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from labapp.lab import APP, PORTS, WORKERS, Lab, processes
from tests import topics
from tests.documents import DOCUMENTS, ROOT, Block, blocks, permissions
from tests.secured import PASSWORDS, Secured
from tests.test_repository import files
from tests.worker import PATIENCE, environment, free_port, request, wait_for

OTHER_PORTS = (5001, 8003, 4318)  # that documents name beside the lab's


@dataclass
class Reader:
    """Somebody who pastes the documents' blocks into a terminal, in the folder of the repository."""

    folder: Path
    ports: dict[str, str]  # as the documents say, and as they are here
    settings: dict[str, object]
    running: list[tuple[subprocess.Popen[bytes], Path]] = field(default_factory=list)

    def here(self, text: str) -> str:
        """The text with this machine's ports."""
        return re.sub(r"(?:(?<=localhost:)|(?<=\bPORT=))\d+", lambda found: self.ports[found[0]], text)

    def paste(self, text: str) -> str:
        """Runs the block to its end and returns what it printed. Its lines succeed, and no worker answers with an error."""
        done = self._start(text, subprocess.PIPE)
        printed, _ = done.communicate(timeout=180 * PATIENCE)
        output = printed.decode()
        assert done.returncode == 0, f"{text}\n{output}"
        assert '{"error"' not in output, f"{text}\n{output}"
        assert "Traceback" not in output, f"{text}\n{output}"
        return output

    def paste_and_leave(self, text: str, ready: Callable[[str], bool]) -> None:
        """Runs the block, whose last command does not end, until it is ready. It goes on until `interrupt`."""
        log = Path(tempfile.mkstemp(dir=self.folder, prefix="log-")[1])
        with log.open("w") as output:
            process = self._start(text, output)
        self.running.append((process, log))

        def is_ready() -> bool:
            assert process.poll() is None, f"{text}\n{log.read_text()}"
            return ready(log.read_text())

        try:
            wait_for(is_ready, text, 120)
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{log.read_text()}") from None

    def interrupt(self) -> list[str]:
        """Ctrl+C for what still runs. Returns what each printed."""
        printed = []
        while self.running:
            process, log = self.running.pop()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(30 * PATIENCE)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            printed.append(log.read_text())
            assert "Traceback" not in printed[-1], printed[-1]
        return printed

    def _start(self, text: str, output: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", self.here(text)],
            cwd=self.folder,
            env=environment(self.settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A copy of the repository with a `venv` that `make` takes for made: the one that runs these tests.

    Its place is always the same, so that what a killed test run left running is found and ended.
    """
    folder = Path(tempfile.gettempdir()) / f"labapp-docs-{os.getuid()}{os.environ.get('PYTEST_XDIST_WORKER', '')}"
    processes.end(Lab(folder / ".lab"))
    shutil.rmtree(folder, ignore_errors=True)
    for path in files():
        (copied := folder / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copied)
    (folder / "venv").mkdir()
    for part in Path(sys.prefix).iterdir():
        if part.name != "made":
            (folder / "venv" / part.name).symlink_to(part)
    (folder / "venv" / "made").touch()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def lab(folder: Path) -> Iterator[Lab]:
    """What the first block of README.md starts."""
    lab = Lab(folder / ".lab", {name: free_port() for name in PORTS})
    ports = {str(usual): str(lab.ports[name]) for name, usual in PORTS.items()}
    text = ",".join(f"{name}={port}" for name, port in lab.ports.items())
    reader = Reader(folder, ports, {"LAB_PORTS": text})
    first = next(blocks("README.md"))
    assert first.text == "make run\n"
    try:
        reader.paste_and_leave(first.text, lambda log: "Ready after" in log)
        yield lab
    finally:
        printed = reader.interrupt()
    assert "Stopped after" in printed[0]


@pytest.fixture
def reader(lab: Lab, folder: Path) -> Iterator[Reader]:
    """Somebody who has typed `make run`. Afterwards the lab is as it was."""
    ports = {str(usual): str(lab.ports[name]) for name, usual in PORTS.items()} | {str(port): str(free_port()) for port in OTHER_PORTS}
    text = ",".join(f"{name}={port}" for name, port in lab.ports.items())
    reader = Reader(folder, ports, {"LAB_PORTS": text, "KAFKA_BOOTSTRAP_SERVERS": lab.bootstrap_servers})
    yield reader
    reader.interrupt()
    for name in APP:
        processes.start(lab, name, lambda text: None)
    for name in set(WORKERS) - set(APP):
        processes.stop(lab, name)


def read_through(document: str, reader: Reader) -> Iterator[tuple[Block, str]]:
    """Pastes each block that can run here, but those for another cluster, and yields it with what it printed. Ctrl+C after each section."""
    section = ""
    for block in blocks(document):
        if block.section != section:
            reader.interrupt()
            section = block.section
        if block.text == "make run\n" or not block.is_run or "secured" in block.words:
            continue
        if "worker" in block.words:
            paste_worker(reader, block)
            yield block, ""
        else:
            yield block, reader.paste(block.text)
    reader.interrupt()


def paste_worker(reader: Reader, block: Block) -> None:
    found = re.search(r"\bPORT=(\d+)", reader.here(block.text))
    port = int(found[1] if found else str(reader.settings["PORT"]))

    def is_ready(log: str) -> bool:
        try:
            return "Starting consumer on topic" in log and request(port, "GET", "/health/ready").status == 200
        except OSError:
            return False

    reader.paste_and_leave(block.text, is_ready)


def test_what_fails_is_noticed(tmp_path: Path) -> None:
    """A line that fails before the last one, a part of a pipe, and a worker's error."""
    for text in ("false\ntrue", "false | true", """echo '{"error":"There is nothing at this address."}'"""):
        with pytest.raises(AssertionError):
            Reader(tmp_path, {}, {}).paste(text)
    assert Reader(tmp_path, {}, {}).paste("echo true") == "true\n"


def test_ports_are_this_machines() -> None:
    """Those that a command names, and no port of the documents that is not known here."""
    reader = Reader(Path(), {"5000": "1234", "9093": "2345"}, {})

    assert reader.here("PORT=5000 x=localhost:9093 y=5000") == "PORT=1234 x=localhost:2345 y=5000"
    with pytest.raises(KeyError):
        reader.here("curl http://localhost:3000/")


def test_readme(reader: Reader) -> None:
    """The first event has its row at once; the four that were sent while the consumer was down are there, once."""
    printed = {block.section: output for block, output in read_through("README.md", reader) if "status" not in block.text}

    sent, row = objects(printed["The first event"])
    assert (sent["key"], row["key"], row["deliveries"]) == ("first", "first", 1)
    assert row["stages"]["clicked_us"] is None
    assert row["stages"]["received_us"] <= row["stages"]["produced_us"] <= row["stages"]["consumed_us"]
    shown = objects(printed["The experiment"])[4:]
    assert [(row["key"], row["value"]["id"], row["deliveries"]) for row in shown] == [(str(number), number, 1) for number in (2, 3, 4, 5)]


def objects(text: str) -> list[Any]:
    """The JSON objects in what was printed, some of them on one line."""
    found, at = [], text.find("{")
    while at >= 0:
        value, end = json.JSONDecoder().raw_decode(text, at)
        found.append(value)
        at = text.find("{", end)
    return found


def commands_in(document: str) -> bool:
    return any(block.is_run and "secured" not in block.words for block in blocks(document))


@pytest.mark.parametrize("document", [document for document in DOCUMENTS[1:] if commands_in(document)])
def test_document(document: str, lab: Lab, reader: Reader) -> None:
    """Each command does without an error what the text says."""
    if document == "docs/operations.md":
        # Of these the text sends one again: the dead letter at offset 7 of partition 0.
        topics.write(lab.bootstrap_servers, "first-topic", [(None, b"soon")] * 8, 0)
        wait_for(lambda: len(topics.read(lab.bootstrap_servers, "dlq")) == 8, "eight dead letters")
    reader.settings["PORT"] = free_port()

    for _ in read_through(document, reader):
        pass


def test_another_cluster(secured: Secured, names: dict[str, str], folder: Path) -> None:
    """With a password, TLS and no more rights than docs/operations.md lists, its block checks, makes and starts."""
    [block] = [block for block in blocks("docs/operations.md") if "secured" in block.words]
    secured.make(names["KAFKA_TOPIC"], names["DEAD_LETTER_TOPIC"])
    secured.make(f"{names['CONSUMER_GROUP']}-events-changelog", cleanup_policy="compact", message_timestamp_type="LogAppendTime")
    secured.allow("app", *permissions("produce", names), *permissions("consume", names))
    shutil.copy(secured.pem("ca"), folder / "ca.pem")
    text = block.text.replace("kafka.example:9093", secured.at("SASL_SSL")).replace("=secret", f"='{PASSWORDS['app']}'")
    port = free_port()
    reader = Reader(folder, {}, {**names, "PORT": port})

    reader.ports[secured.at("SASL_SSL").rpartition(":")[2]] = secured.at("SASL_SSL").rpartition(":")[2]
    paste_worker(reader, Block(block.document, block.section, block.words, text))
    [printed] = reader.interrupt()

    assert "A worker would start." in printed
