"""The stages that an event passes, and the clock that stamps them. Times are whole microseconds since the epoch.

clicked    in the browser (the field `clicked`)
received   by the producer's HTTP server (header `received_us`)
produced   handed to the Kafka client (header `produced_us`)
appended   to the topic, by the broker's clock (the record's timestamp, if the topic has LogAppendTime)
consumed   handed to the agent
recorded   its row appended to the changelog, by the broker's clock (the changelog message's timestamp, if it has LogAppendTime)
"""

import re
import time
from datetime import datetime
from functools import lru_cache

STAGES = ("clicked", "received", "produced", "appended", "consumed", "recorded")

# Kafka's number for LogAppendTime, in records and in acknowledgements (`timestamp_type`).
LOG_APPEND_TIME = 1
_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US
_WORKSHOP_TIME = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2}):(\d{1,3})", re.ASCII)


def now_us() -> int:
    """The time now. Every stage that this process stamps comes from here."""
    return time.time_ns() // 1000


def local_time(time_us: int) -> str:
    """`HH:MM:SS:mmm` in the server's time zone, the workshop's format."""
    return f"{_local_second(time_us // 1_000_000)}:{time_us // 1000 % 1000:03}"


@lru_cache(maxsize=16)
def _local_second(time_seconds: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(time_seconds))


def appended_us(timestamp_ms: int, timestamp_type: int) -> int | None:
    """When the broker appended a record; None if the topic keeps the client's time."""
    return timestamp_ms * 1000 if timestamp_type == LOG_APPEND_TIME else None


def clicked_us(clicked: object, arrival_us: int) -> int | None:
    """When the event was clicked. None if the value can't be read, or is more than an hour from the arrival.

    It reads epoch milliseconds (a number), ISO 8601, and the workshop's `HH:MM:SS:mmm`. The workshop does not pad milliseconds (`:7`
    is 7 ms) and gives no date. Its time is read as the server's local time nearest to the arrival.
    """
    time_us: int | None
    if type(clicked) is int:  # the commonest first; a bool is no time
        time_us = clicked * 1000
    elif type(clicked) is float and abs(clicked) < 1e15:
        time_us = round(clicked * 1000)
    elif isinstance(clicked, str):
        if found := _WORKSHOP_TIME.fullmatch(clicked):
            hours, minutes, seconds, milliseconds = map(int, found.groups())
            time_us = _nearest_us(hours, minutes, seconds, milliseconds, arrival_us)
        else:
            time_us = _iso_us(clicked)
    else:
        return None
    return time_us if time_us is not None and -_HOUR_US <= time_us - arrival_us <= _HOUR_US else None


def _nearest_us(hours: int, minutes: int, seconds: int, milliseconds: int, arrival_us: int) -> int | None:
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    east_of_utc_us = time.localtime(arrival_us // 1_000_000).tm_gmtoff * 1_000_000
    time_of_day_us = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + milliseconds * 1000
    away_us = (time_of_day_us - (arrival_us + east_of_utc_us)) % _DAY_US
    return arrival_us + (away_us - _DAY_US if away_us > _DAY_US // 2 else away_us)


def _iso_us(text: str) -> int | None:
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1_000_000)
    except (ValueError, OverflowError, OSError):
        return None
