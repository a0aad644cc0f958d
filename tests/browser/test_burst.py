"""A burst against a producer that stands still for a moment."""

import os
import re
import signal
import time

import pytest
from playwright.sync_api import Page, expect

from labapp.lab import Lab, processes
from tests.browser.person import proven, send
from tests.worker import request

FROZEN_SECONDS = 1


@pytest.mark.alone
def test_a_frozen_producer_makes_slow_what_was_due(page: Page, lab: Lab) -> None:
    """All events that were due while the producer was frozen are slow, not only those that were under way; the page says why."""
    pid = next(status.pid for status in processes.statuses(lab) if status.name == "producer")
    assert pid is not None

    send(page, 1000, "500 a second")
    expect(page.locator("#proof [data-count=acknowledged] dd")).to_have_text(re.compile(r"^[1-9]\d\d$"))
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(FROZEN_SECONDS)  # how long it is frozen, not a wait for something
    finally:
        os.kill(pid, signal.SIGCONT)
    proven(page, 1000)

    rows = request(lab.ports["consumer"], "GET", "/events?limit=1000").json["events"]
    wholes = [row["stages"]["received_us"] - row["stages"]["clicked_us"] for row in rows]
    assert sum(us > 100_000 for us in wholes) > 400  # of the 500 a second, all but those that were due in the last moment
    unsent = [(row["value"]["sent"] - row["value"]["clicked"]) * 1000 for row in rows]
    assert min(unsent) >= 0
    assert all(row["stages"]["received_us"] / 1000 > row["value"]["sent"] - 5 for row in rows)
    expect(page.locator("#latency-table")).to_contain_text("of A: due, and not sent yet")
