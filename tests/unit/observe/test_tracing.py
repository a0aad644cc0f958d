"""Tracing that nobody asked for costs nothing."""

from pathlib import Path

from tests.unit.apart import run_apart

CODE = """
import sys
import labapp.produce, labapp.consume.agent, labapp.consume.writer
from labapp.observe import tracing

async def call(): pass

assert tracing.sent(call) is call and tracing.recorded(call) is call and not tracing.MIDDLEWARES
assert not hasattr(labapp.produce.produce, "__wrapped__") and not hasattr(labapp.consume.writer.write, "__wrapped__")
assert not any(name.partition(".")[0] == "opentelemetry" for name in sys.modules)
"""


def test_off_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    """Without the setting nothing of OpenTelemetry is imported, though it is installed, and no function is another one."""
    run_apart(CODE, tmp_path)
