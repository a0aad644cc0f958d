"""The log: text for people, or one JSON object a line for programs (LOG_FORMAT). It has a line for each incident, but not for each event.

A line about one event carries that event's `traceparent`, if it has one: `extra=logs.about(headers)`.
"""

import logging
import os
import re
import sys
import threading
from collections.abc import Iterable
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from labapp import settings
from labapp.event.record import traceparent_in

JSON = settings.LOG_FORMAT == "json"
# The table that Faust draws below some of its messages.
_TABLE = re.compile(r":\n[+┌].*", re.DOTALL)
# Characters that move a terminal's cursor, change what it shows, or end a line for some programs.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def about(headers: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """The fields of a log line about a record: the traceparent in its headers."""
    traceparent = traceparent_in(headers)
    return {"traceparent": traceparent} if traceparent else {}


class Text(logging.Formatter):
    """A line that begins with a space belongs to the line above. So text that a client sent can't look like a log line."""

    def format(self, record: logging.LogRecord) -> str:
        return _CONTROL.sub(lambda found: repr(found.group())[1:-1], super().format(record)).replace("\n", "\n  ")

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
    """The logging configuration without the level, which `faust worker -l` gives. It is complete, because Faust clears the handlers."""
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
    """The options of a Faust worker. If the log is JSON, the worker prints nothing beside it, and logs a crash instead of printing it."""
    return {**options, "quiet": True, "stderr": open(os.devnull, "w")} if JSON else options


def take_over() -> None:
    """If the log is JSON, what Python and Faust print by themselves goes into it too."""
    if not JSON:
        return
    early = logging.StreamHandler()  # until the worker has set up logging
    early.setFormatter(Json())
    early.setLevel(logging.WARNING)
    logging.root.addHandler(early)
    logging.captureWarnings(True)
    log = logging.getLogger("python")
    sys.excepthook = lambda kind, exc, trace: log.critical("This process ends: %r", exc, exc_info=exc)
    sys.unraisablehook = lambda raised: log.error("%s %r", raised.err_msg or "Ignored in", raised.object, exc_info=raised.exc_value)
    threading.excepthook = lambda args: log.error("A thread ended: %r", args.exc_value, exc_info=args.exc_value)
