"""When an event was clicked, in whatever form that comes."""

import time
from datetime import UTC, datetime

import pytest

from labapp.event.stages import clicked_us
from tests.unit.records import ARRIVAL_US


@pytest.fixture(params=["UTC", "Asia/Kolkata", "America/New_York"])
def _time_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_time_zone")
def test_clicked_is_read_in_three_ways() -> None:
    """Epoch milliseconds, ISO 8601, the workshop's local time with milliseconds not padded."""
    at = datetime.fromtimestamp(ARRIVAL_US // 1_000_000 - 1)
    second_us = (ARRIVAL_US // 1_000_000 - 1) * 1_000_000
    utc = datetime.fromtimestamp(ARRIVAL_US // 1_000_000 - 1, UTC)

    assert clicked_us(second_us // 1000 + 7, ARRIVAL_US) == second_us + 7000
    assert clicked_us(second_us / 1000 + 0.25, ARRIVAL_US) == second_us + 250
    assert clicked_us(f"{utc:%Y-%m-%dT%H:%M:%S}.007Z", ARRIVAL_US) == second_us + 7000
    assert clicked_us(f"{at:%Y-%m-%dT%H:%M:%S}.007", ARRIVAL_US) == second_us + 7000
    assert clicked_us(f"{at:%H:%M:%S}:7", ARRIVAL_US) == second_us + 7000
    assert clicked_us(f"{at.hour}:{at.minute}:{at.second}:007", ARRIVAL_US) == second_us + 7000


@pytest.mark.usefixtures("_time_zone")
def test_clicked_before_midnight_and_received_after_it() -> None:
    """The workshop's time has no date: the nearest one is taken."""
    midnight = int(datetime(2025, 11, 24).timestamp())

    assert clicked_us("23:59:59:900", midnight * 1_000_000 + 50_000) == midnight * 1_000_000 - 100_000
    assert clicked_us("00:00:00:100", midnight * 1_000_000 - 50_000) == midnight * 1_000_000 + 100_000


@pytest.mark.parametrize(
    "clicked",
    [
        None,
        True,
        "",
        "soon",
        "25:00:00:1",
        "10:61:00:1",
        [],
        {},
        0,
        -1,
        1e300,
        ARRIVAL_US // 1000 - 3_600_001,
        "2025-11-24",
        "9999-12-31T23:59:59",
    ],
)
def test_clicked_that_cannot_be_read_or_is_over_an_hour_away_is_null(clicked: object) -> None:
    """It stays in the value."""
    assert clicked_us(clicked, ARRIVAL_US) is None
