"""The whole app's HTTP in a process of its own, without Kafka: real routes, middlewares and bounds."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.unit.apart import ROOT
from tests.worker import Answer, request

_CODE = """
import asyncio, logging, logging.config
from aiohttp import web
from labapp import readiness, settings
from labapp.app import app, event_table
from labapp.event.rows import Rows
from labapp.observe import logs
app.finalize(); app.discover(); app.web.init_server()
app.tables.actives_ready = True
logging.config.dictConfig({**logs.config(), "root": {"handlers": ["stderr"], "level": "INFO"}})

def row(key, partition, offset, value=b'{"id":1}', consumed_us=1764000000000000):
    return (b'{"key":"%s","topic":"first-topic","partition":%d,"offset":%d,"deliveries":1,"value":%s,"stages":{"clicked_us":null,'
            b'"received_us":null,"produced_us":null,"appended_us":null,"consumed_us":%d}}'
            % (key.encode(), partition, offset, value, consumed_us))

SETUP

async def serve():
    runner = app.web._runner
    await runner.setup()
    await web.TCPSite(runner, "BIND", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()

asyncio.run(serve())
"""


class Served:
    def __init__(self, port: int, log: Path) -> None:
        self.port, self._log = port, log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def get(self, path: str, **headers: str) -> Answer:
        return request(self.port, "GET", path, None, {name.replace("_", "-"): value for name, value in headers.items()})


@contextmanager
def served(folder: Path, setup: str = "", bind: str = "127.0.0.1", **settings: str) -> Iterator[Served]:
    """`setup` is Python text that is run before. It has the app, its table and a function `row`."""
    log = folder / "log"
    code = _CODE.replace("BIND", bind).replace("SETUP", setup)
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=folder, env={"PYTHONPATH": str(ROOT), **settings}, stdout=subprocess.PIPE, stderr=stderr
        )
    try:
        assert process.stdout is not None
        port = process.stdout.readline()
        assert port, log.read_text()
        yield Served(int(port), log)
    finally:
        process.kill()
        process.communicate()
