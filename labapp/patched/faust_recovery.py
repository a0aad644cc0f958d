"""Faust's recovery of the table: it begins again if a broker does not answer in time.

Faust treats a time-out as the end of its service (tables/recovery.py:561 and mode/services.py:796). Its recovery then ends for good. The
worker keeps its partitions, but neither restores nor reads them.
"""

import asyncio
from typing import Any, cast

from aiokafka.errors import KafkaError
from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped

# How long to wait before a recovery that failed begins again.
PAUSE_SECONDS = 0.5


class RetriedRecovery(Recovery):
    async def _wait(self, coro: Any, timeout: Any = None) -> None:
        begun_anew = self.signal_recovery_start
        try:
            result = await self.wait_first(coro, begun_anew, timeout=timeout)
        except KafkaError as exc:
            await self._begin_again(repr(exc))
        if begun_anew in result.done:
            raise RebalanceAgain
        if result.stopped:
            if self.should_stop or self.crashed:
                raise ServiceStopped
            await self._begin_again(f"no answer in {timeout:g} s")

    async def _begin_again(self, why: str) -> None:
        """Raises RebalanceAgain, so that Faust begins with the first step."""
        self.log.warning("The recovery of the table begins again, because a request to Kafka failed (%s)", why)
        consumer = self.app.consumer
        # An attempt that reached its last step has resumed the source partitions. The first step expects them paused.
        consumer.pause_partitions({tp for tp in consumer.assignment() if not self._is_changelog_tp(tp)})
        await asyncio.sleep(PAUSE_SECONDS)
        self.signal_recovery_start.set()
        raise RebalanceAgain

    def remaining(self) -> int:
        """How many changelog offsets are still to be read."""
        return max(0, self.active_remaining_total())


class RetriedTableManager(TableManager):
    async def on_start(self) -> None:
        """Like Faust's (tables/manager.py:138), but without its sleep of a second. All modules are loaded, so all tables are known."""
        await self._update_channels()
        await self.recovery.start()

    @property
    def recovery(self) -> RetriedRecovery:
        if self._recovery is None:
            self._recovery = RetriedRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return cast(RetriedRecovery, self._recovery)
