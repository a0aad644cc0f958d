"""The targets of the app. Each is for a figure of a run, or for the ratio of two figures of the same run."""

from dataclasses import dataclass

Key = tuple[str, str, str]  # part, candidate, unit


@dataclass(frozen=True)
class Target:
    name: str
    figure: Key
    by: Key | None = None
    least: float | None = None
    most: float | None = None

    def met(self, found: float) -> bool:
        return (self.least is None or found >= self.least) and (self.most is None or found <= self.most)

    @property
    def text(self) -> str:
        return f"≥ {self.least:,g}" if self.least is not None else f"≤ {self.most:,g}"


def _recording(candidate: str) -> Key:
    return "recording", candidate, "events/s"


def _post(way: str, candidate: str) -> Key:
    return f"POST, {way}", candidate, "requests/s"


def _latency(candidate: str, unit: str) -> Key:
    return "POST to row, one by one", candidate, unit


def _stream(candidate: str, unit: str) -> Key:
    return "event stream", candidate, unit


def targets(growth: tuple[int, ...]) -> list[Target]:
    """`growth`: the numbers of events with which the growth is measured. The last two bound the memory."""
    few, many = growth[-2:]
    bare = "bare aiohttp + aiokafka"
    beside = "ours, all roles, recording 10,000 events/s"
    written = ("POST, 64 at a time", "the same: written meanwhile, with the posted ones", "events/s")
    recorded = ("POST, 64 at a time", "the same: recorded meanwhile, with the posted ones", "events/s")
    return [
        Target("recording: ours / the limit with our rows", _recording("ours"), _recording("the limit with our rows"), least=0.8),
        Target("recording: ours / the limit", _recording("ours"), _recording("the limit"), least=0.6),
        Target("recording: ours / Quix Streams with state", _recording("ours"), _recording("Quix Streams with state"), least=2.5),
        Target("recording: ours / Faust's idiom", _recording("ours"), _recording("Faust's idiom"), least=25),
        Target("POST one by one: ours / bare", _post("one by one", "ours, producer"), _post("one by one", bare), least=0.95),
        Target("POST 64 at a time: ours / bare", _post("64 at a time", "ours, producer"), _post("64 at a time", bare), least=0.8),
        Target(
            "POST 64 at a time: one worker that also records 10,000 events/s / producer alone",
            _post("64 at a time", beside),
            _post("64 at a time", "ours, producer"),
            least=0.65,
        ),
        Target("the same: recorded / written meanwhile", recorded, written, least=0.95),
        Target(
            "POST to consumed, one by one, p50: ours / the floor", _latency("ours", "ms p50"), _latency("the floor", "ms p50"), most=2.0
        ),
        Target(
            "POST to consumed, one by one, p99: ours / the workshop's programs",
            _latency("ours", "ms p99"),
            _latency("the workshop's programs", "ms p99"),
            most=1.0,
        ),
        Target(
            "POST to recorded, one by one, p50: ours / the floor with a changelog write",
            _latency("ours, to recorded", "ms p50"),
            _latency("the floor with a changelog write", "ms p50"),
            most=1.5,
        ),
        Target(
            "the consumer's CPU for an event that comes alone, ms",
            ("POST to row, one by one, CPU", "ours, the consumer", "ms an event"),
            most=0.7,
        ),
        Target(
            "recovery: rows restored / events recorded a second",
            ("recovery", "ours, rows restored", "rows/s"),
            ("recovery", "ours, recording these rows", "events/s"),
            least=2.5,
        ),
        Target("event stream: rows a second to one client", _stream("to one client", "rows/s"), least=50_000),
        Target(
            "event stream: POST p99 with 20 clients at 1,000 recorded/s / without clients",
            _stream("POST at 200/s, 20 clients", "ms p99"),
            _stream("POST at 200/s, no client", "ms p99"),
            most=1.3,
        ),
        Target("make run, warm, until ready, s", ("start", "make run, warm, until ready", "s"), most=4),
        Target(
            f"memory after {many:,} / after {few:,} events",
            ("growth, memory", f"{many:,} events", "MB"),
            ("growth, memory", f"{few:,} events", "MB"),
            most=1.3,
        ),
    ]
