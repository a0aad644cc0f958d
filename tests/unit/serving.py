"""Serves the whole app's HTTP without Kafka: `python -m tests.unit.serving ADDRESS [MODULE FUNCTION [ARGUMENT...]]`, as served.py runs it.

Each function imports labapp by itself, because importing labapp.app changes Faust and aiokafka, and tests import this module too.
"""

import asyncio
import logging.config
import sys
from importlib import import_module

from aiohttp import web


def main(address: str, module: str = "", function: str = "", *arguments: str) -> None:
    """Calls the function with the arguments, then serves on a free port of the address and prints the port."""
    from labapp.app import app
    from labapp.observe import logs

    app.finalize()
    app.discover()
    app.web.init_server()
    app.tables.actives_ready = True
    logging.config.dictConfig({**logs.config(), "root": {"handlers": ["stderr"], "level": "INFO"}})
    if module:
        getattr(import_module(module), function)(*arguments)
    asyncio.run(serve(app.web._runner, address))


async def serve(runner: web.AppRunner, address: str) -> None:
    await runner.setup()
    await web.TCPSite(runner, address, 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def let_own_partition_0(url: str) -> None:
    """Every key belongs to partition 0 of the table, whose owner is the worker at this URL."""
    from faust.types import TP

    from labapp.app import app
    from labapp.topics import CHANGELOG

    app.assignor.changelog_distribution = {url: {CHANGELOG: [0]}}
    app.producer.key_partition = lambda topic, key: TP(topic, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
