"""The life of a worker's process: what it checks before it starts, and how it ends."""

import gc
import ipaddress
import logging
import os
import signal
import socket
import threading
import warnings
from typing import Any, NoReturn

import faust
from faust.exceptions import AlreadyConfiguredWarning
from yarl import URL

from labapp import settings, topics
from labapp.kafka import admin
from labapp.observe import logs, tracing

# From sysexits.h: the exit code of a worker that could not go on and must be started again.
EX_SOFTWARE = 70
# Set once the worker is told to stop. From then on it is not ready, and its answers close their connections.
STOPPING = threading.Event()


class Worker(faust.Worker):
    """A worker that checks the port, the brokers and the topics before Faust starts. So a wrong setting ends it with one sentence.

    After SIGTERM it goes on for STOP_PAUSE_SECONDS, but is not ready. Ctrl+C, or a second signal, ends that pause. Then the stop takes
    STOP_TIMEOUT_SECONDS at most. Faust's own stop waits for Kafka without a bound.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **logs.for_worker(kwargs))

    def _schedule_shutdown(self, number: signal.Signals) -> None:
        pause = settings.STOP_PAUSE_SECONDS if number == signal.SIGTERM and not STOPPING.is_set() else 0
        STOPPING.set()
        if pause:
            self.log.info("This worker was told to stop. It is no longer ready, and stops in %g s.", pause)
            self.loop.call_later(pause, self._stop, number)
        else:
            self._stop(number)

    def _stop(self, number: signal.Signals) -> None:
        cut_short = threading.Timer(settings.STOP_TIMEOUT_SECONDS, self._cut_short)
        cut_short.daemon = True
        cut_short.start()
        tracing.give_up_after(0.9 * settings.STOP_TIMEOUT_SECONDS)
        super()._schedule_shutdown(number)

    def _cut_short(self) -> None:
        self.log.warning("The stop took more than %g s, so this worker ends at once; nothing is lost.", settings.STOP_TIMEOUT_SECONDS)
        exit_at_once()

    def execute_from_commandline(self) -> Any:
        conf = self.app.conf
        with warnings.catch_warnings(action="ignore", category=AlreadyConfiguredWarning):  # nothing has read these settings yet
            conf.web_host = settings.WEB_HOST or reachable_name(conf.web_bind)
            conf.canonical_url = URL.build(scheme="http", host=conf.web_host, port=int(conf.web_port))
        try:
            with socket.create_server((conf.web_bind, conf.web_port), family=socket.AF_INET6 if ":" in conf.web_bind else socket.AF_INET):
                pass
        except OSError as exc:
            raise settings.cant_start(
                f"HTTP can't listen on {conf.web_bind}:{conf.web_port} ({exc.strerror}): set PORT to a free port."
            ) from None
        try:
            self.loop.run_until_complete(topics.declare())
            if settings.CONSUMES:
                self.loop.run_until_complete(admin.check_group(settings.CONSUMER_GROUP, self.app.assignor.name))  # type: ignore[attr-defined]
        except admin.Unsuitable as exc:
            raise settings.cant_start(str(exc)) from None
        # The garbage collector need not scan what is loaded by now, because it stays. It also runs less often, because a batch makes
        # thousands of objects that reference counting frees. Measured: both bring a fifth of the speed of recording.
        gc.collect()
        gc.freeze()
        gc.set_threshold(200_000, 20, 50)
        super().execute_from_commandline()


def reachable_name(bound: str) -> str:
    """The name by which other workers reach this one: the bound address, or the host's name if it is bound to all addresses."""
    try:
        return socket.gethostname() if ipaddress.ip_address(bound).is_unspecified else bound
    except ValueError:  # a name
        return bound


def exit_at_once() -> NoReturn:
    """Ends the process, so that its supervisor starts it again. A SystemExit raised in an agent would hang a Faust worker."""
    logging.shutdown()
    os._exit(EX_SOFTWARE)
