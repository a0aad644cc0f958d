"""How lines of the log look."""

import json
import logging
import sys
from pathlib import Path

import pytest

from labapp.event.record import traceparent_of
from labapp.observe import logs
from tests.unit.apart import python

TRACEPARENT = f"00-{'1' * 32}-{'2' * 16}-01"


def line(formatter: logging.Formatter, message: str, **extra: object) -> str:
    record = logging.LogRecord("labapp", logging.WARNING, __file__, 1, message, (), None)
    vars(record).update(extra)
    return formatter.format(record)


def test_a_line_about_an_event_has_its_traceparent() -> None:
    """In both forms; other lines have none."""
    about = logs.about([("received_us", b"1"), ("traceparent", TRACEPARENT.encode())])

    assert line(logs.Text(), "oh", **about) == f"oh (traceparent {TRACEPARENT})"
    assert json.loads(line(logs.Json(), "oh", **about))["traceparent"] == TRACEPARENT
    assert line(logs.Text(), "oh", **logs.about([("traceparent", b"soon")])) == "oh"
    assert "traceparent" not in json.loads(line(logs.Json(), "oh", **logs.about([])))


@pytest.mark.parametrize("forged", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\x1b[2K"])
def test_a_line_of_text_can_not_be_forged(forged: str) -> None:
    """What follows a line break begins with a space, also in a traceback. Other control characters are escaped."""
    try:
        raise ValueError(f"oh{forged}2026 CRITICAL root: all is lost")
    except ValueError:
        raised = sys.exc_info()

    text = line(logs.Text("%(levelname)s %(message)s"), f"GET /{forged}2026 CRITICAL root: all is lost failed", exc_info=raised)

    first, *others = text.splitlines()
    assert first.startswith("WARNING GET /")
    assert len(others) >= 3
    assert [other for other in others if not other.startswith("  ")] == []
    assert not any(character < " " for character in text.replace("\n", ""))


def test_json_is_one_line() -> None:
    """Tracebacks, odd characters and Faust's tables included."""
    try:
        raise ValueError("two\nlines")
    except ValueError:
        raised = sys.exc_info()

    text = line(logs.Json(), "a\nb \ud800 \xff", exc_info=raised)

    assert "\n" not in text
    found = json.loads(text)
    assert {"time", "level", "logger", "message", "exception"} == found.keys()
    assert "ValueError: two\nlines" in found["exception"]
    assert json.loads(line(logs.Json(), "Highwater:\n+Highwater - Active--+\n| topic |"))["message"] == "Highwater"


@pytest.mark.parametrize(("code", "words"), [
    ("1/0", "ZeroDivisionError"),
    ("import threading; threading.Thread(target=lambda: 1/0).start()", "ZeroDivisionError"),
    ("import warnings; warnings.warn('oh')", "UserWarning: oh"),
    ("import logging; logging.getLogger('x').warning('early')", "early"),
])  # fmt: skip
def test_what_python_would_print_is_json_too(code: str, words: str, tmp_path: Path) -> None:
    """Whatever goes wrong, in whichever thread, and before logging is set up."""
    done = python(tmp_path, "-c", f"import labapp.app; {code}", LOG_FORMAT="json")

    [found] = map(json.loads, (done.stdout + done.stderr).splitlines())
    assert words in found["message"] + found.get("exception", "")


def test_a_setting_that_cannot_be_used_is_json_too(tmp_path: Path) -> None:
    """The sentence that ends the start."""
    done = python(tmp_path, "-m", "labapp", "worker", LOG_FORMAT="json", ROLE="both")

    assert done.returncode == 1
    assert "ROLE" in json.loads(done.stdout + done.stderr)["message"]


@pytest.mark.parametrize(("sent", "valid"), [
    ([TRACEPARENT], True),
    ([f"cc-{'1' * 32}-{'2' * 16}-00"], True),
    ([], False),
    ([TRACEPARENT, TRACEPARENT], False),
    ([f"ff-{'1' * 32}-{'2' * 16}-01"], False),
    ([f"00-{'0' * 32}-{'2' * 16}-01"], False),
    ([f"00-{'1' * 32}-{'0' * 16}-01"], False),
    ([f"00-{'A' * 32}-{'2' * 16}-01"], False),
    ([f"{TRACEPARENT}-more"], False),
    ([f"{TRACEPARENT}\n"], False),
    (["soon"], False),
])  # fmt: skip
def test_traceparent_is_taken_only_when_valid(sent: list[str], valid: bool) -> None:
    """As W3C Trace Context says; none is made up."""
    assert traceparent_of(sent) == (sent[0] if valid else None)
