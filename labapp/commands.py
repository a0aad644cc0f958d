"""Commands beside `worker`."""

import asyncio
from typing import Any, NoReturn

from faust.cli.base import AppCommand

from labapp import cluster
from labapp.app import declare


class release(AppCommand):  # the class's name is the command's
    """Make the topics that are missing and check those that exist. Harmless when run again."""

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        # Not as Faust runs a command, inside a worker: that would connect, log, and take a second to end.
        try:
            partitions = asyncio.run(declare())
        except cluster.Unsuitable as exc:
            raise SystemExit(f"{exc}.") from None
        for topic, count in partitions.items():
            self.say(f"{topic}: {count} partitions")
        raise SystemExit(0)
