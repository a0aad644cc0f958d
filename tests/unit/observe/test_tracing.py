"""Tracing that nobody asked for costs nothing."""

import sys

from tests.unit.apart import apart


@apart
def test_off_is_as_if_it_were_not_there() -> None:
    """Without the setting nothing of OpenTelemetry is imported, though it is installed, and no function is another one."""
    from labapp import produce
    from labapp.consume import agent, writer
    from labapp.observe import tracing

    async def call() -> None: ...

    assert tracing.sent(call) is call
    assert tracing.recorded(call) is call
    assert not tracing.MIDDLEWARES
    assert not any(hasattr(function, "__wrapped__") for function in (produce.produce, writer.write, agent.run_or_end))
    assert not any(name.partition(".")[0] == "opentelemetry" for name in sys.modules)
