"""Slows this consumer down by some milliseconds an event, for an experiment of the local lab.

It is off unless LAB_SLOW names a file, into which the lab writes the number. A worker removes the file when it starts.
"""

import asyncio
from pathlib import Path

from labapp import settings
from labapp.patched.faust_consumer import BatchConsumer

LOOK_SECONDS = 0.2
# A batch that was fetched before the worker became slow may have a thousand records.
DELAY_SECONDS_MAX = 5.0


class Slowness:
    def __init__(self, file: Path | None) -> None:
        self.ms = 0
        self._file = file

    async def watch(self, consumer: BatchConsumer) -> None:
        """Reads the file again and again. While the worker is slow, each batch has one record, so that records are recorded one by one."""
        if self._file is None:
            return
        self._file.unlink(missing_ok=True)
        while True:
            self.ms = self._written(self._file)
            consumer.batch_records = 1 if self.ms else None
            await asyncio.sleep(LOOK_SECONDS)

    def _written(self, file: Path) -> int:
        try:
            return int(file.read_text())
        except (FileNotFoundError, ValueError):  # ValueError: the lab is just writing it
            return 0

    async def delay(self, records: int) -> None:
        if self.ms:
            await asyncio.sleep(min(self.ms / 1000 * records, DELAY_SECONDS_MAX))


SLOWNESS = Slowness(Path(settings.LAB_SLOW) if settings.LAB_SLOW else None)
