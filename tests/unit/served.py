"""The whole app's HTTP in a process of its own, without Kafka: real routes, middlewares and bounds."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.unit.apart import ROOT
from tests.worker import Answer, request


class Served:
    def __init__(self, port: int, log: Path) -> None:
        self.port, self._log = port, log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def get(self, path: str, **headers: str) -> Answer:
        return request(self.port, "GET", path, None, {name.replace("_", "-"): value for name, value in headers.items()})


@contextmanager
def served(
    folder: Path, set_up: Callable[..., None] | None = None, *arguments: str, bind: str = "127.0.0.1", **settings: str
) -> Iterator[Served]:
    """`set_up` is a function of a module. The process calls it with the arguments before it serves."""
    log = folder / "log"
    called = [set_up.__module__, set_up.__name__, *arguments] if set_up else []
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.serving", bind, *called],
            cwd=folder, env={"PYTHONPATH": str(ROOT), **settings}, stdout=subprocess.PIPE, stderr=stderr,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        port = process.stdout.readline()
        assert port, log.read_text()
        yield Served(int(port), log)
    finally:
        process.kill()
        process.communicate()
