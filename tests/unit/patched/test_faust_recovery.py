"""The table manager's start; only the consumer is faked."""

import asyncio
import time
from types import SimpleNamespace

import faust

from labapp.patched.faust_recovery import RetriedTableManager


async def nothing() -> None:
    pass


async def started() -> tuple[float, bool]:
    """The seconds that the start of the table manager takes, and whether the tables are registered then."""
    app = faust.App("start-test", broker="kafka://nowhere", store="memory://", web_enabled=False, TableManager=RetriedTableManager)
    app._consumer = SimpleNamespace(assignment=set, pause_partitions=lambda partitions: None)
    table = app.Table("rows")
    table.maybe_start = nothing  # it would declare its changelog
    began = time.monotonic()
    await app.tables.on_start()
    seconds = time.monotonic() - began
    registered = app.tables._tables_registered.is_set() and table in app.tables._channels and app.tables.recovery.started
    await app.tables.recovery.stop()
    return seconds, registered


def test_a_start_does_not_sleep() -> None:
    """The tables are registered at once, and the recovery is started, so that the worker subscribes without a second of waiting."""
    seconds, registered = asyncio.run(started())

    assert registered
    assert seconds < 0.9
