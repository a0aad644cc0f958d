"""How the log looks: text for people, or one JSON object a line for programs (LOG_FORMAT). One line an incident, none an event.

A line about one event ends with that event's `traceparent`, where it has one: `extra=logs.about(headers)`.
"""

import logging
import os
import re
import sys
import threading
from collections.abc import Iterable
from typing import Any

from faust.cli import worker as worker_command
from pythonjsonlogger.json import JsonFormatter

from labapp import settings
from labapp.event.row import traceparent_in

JSON = settings.LOG_FORMAT == "json"
# Faust draws one below some of its messages.
_TABLE = re.compile(r":\n[+┌].*", re.DOTALL)


def about(headers: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """What a log line about a record has to carry: the traceparent among the record's headers."""
    traceparent = traceparent_in(headers)
    return {"traceparent": traceparent} if traceparent else {}


class Text(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:
        traceparent = getattr(record, "traceparent", None)
        return super().formatMessage(record) + (f" (traceparent {traceparent})" if traceparent else "")


class Json(JsonFormatter):
    """`time`, `level`, `logger`, `message`; `exception` and `traceparent` where there is one."""

    def __init__(self) -> None:
        names = {"levelname": "level", "name": "logger", "exc_info": "exception"}
        super().__init__("%(levelname)s %(name)s %(message)s", rename_fields=names, timestamp="time")

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        log_data["message"] = _TABLE.sub("", log_data["message"])
        return log_data


def config() -> dict[str, Any]:
    """Faust clears the root's handlers, so this is complete but for the level, which `faust worker -l` gives."""
    return {
        "version": 1,
        "merge": True,
        "disable_existing_loggers": False,
        "formatters": {
            "text": {"()": Text, "format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
            "json": {"()": Json},
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": settings.LOG_FORMAT}},
        "root": {"handlers": ["stderr"]},
    }


def for_worker(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a Faust worker that prints nothing beside the log, if that is JSON: what it would print of a crash is logged too."""
    return {**options, "quiet": True, "stderr": open(os.devnull, "w")} if JSON else options


def take_over() -> None:
    """If the log is JSON, brings into it what Python and Faust would print without being asked."""
    if not JSON:
        return
    worker_command.worker.on_worker_created = lambda command, worker: None  # type: ignore # the banner
    early = logging.StreamHandler()  # until the worker has set up logging
    early.setFormatter(Json())
    early.setLevel(logging.WARNING)
    logging.root.addHandler(early)
    logging.captureWarnings(True)
    log = logging.getLogger("python")
    sys.excepthook = lambda kind, exc, trace: log.critical("This process ends: %r", exc, exc_info=exc)
    sys.unraisablehook = lambda raised: log.error("%s %r", raised.err_msg or "Ignored in", raised.object, exc_info=raised.exc_value)
    threading.excepthook = lambda args: log.error("A thread ended: %r", args.exc_value, exc_info=args.exc_value)
