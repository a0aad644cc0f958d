"""What the app has to reach, as ratios of figures of one run."""

from dataclasses import dataclass

Key = tuple[str, str, str]  # part, candidate, unit


@dataclass(frozen=True)
class Target:
    name: str
    figure: Key
    by: Key
    least: float | None = None
    most: float | None = None

    def met(self, ratio: float) -> bool:
        return (self.least is None or ratio >= self.least) and (self.most is None or ratio <= self.most)

    @property
    def text(self) -> str:
        return f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"


def _recording(candidate: str) -> Key:
    return "recording", candidate, "events/s"


def _post(way: str, candidate: str) -> Key:
    return f"POST, {way}", candidate, "requests/s"


def _latency(candidate: str, unit: str) -> Key:
    return "POST to row, one by one", candidate, unit


def targets(growth: tuple[int, ...]) -> list[Target]:
    """`growth`: the numbers of events that the growth is measured with; the last two bound the memory."""
    few, many = growth[-2:]
    return [
        Target("recording: ours / Quix Streams with state", _recording("ours"), _recording("Quix Streams with state"), least=2.0),
        Target("recording: ours / the limit", _recording("ours"), _recording("the limit"), least=0.6),
        Target("recording: ours / Faust's idiom", _recording("ours"), _recording("Faust's idiom"), least=25),
        Target("POST one by one: ours / bare", _post("one by one", "ours, producer"), _post("one by one", "bare aiohttp + aiokafka"), 0.9),
        Target(
            "POST 64 at a time: ours / bare", _post("64 at a time", "ours, producer"), _post("64 at a time", "bare aiohttp + aiokafka"), 0.8
        ),
        Target(
            "POST 64 at a time: one worker that also records 10,000 events/s / producer alone",
            _post("64 at a time", "ours, all roles, recording 10,000 events/s"),
            _post("64 at a time", "ours, producer"),
            least=0.6,
        ),
        Target(
            "the same: recorded / written meanwhile",
            ("POST, 64 at a time", "the same: recorded meanwhile, with the posted ones", "events/s"),
            ("POST, 64 at a time", "the same: written meanwhile, with the posted ones", "events/s"),
            least=0.95,
        ),
        Target("POST to row, one by one, p50: ours / the floor", _latency("ours", "ms p50"), _latency("the floor", "ms p50"), most=2.0),
        Target(
            "POST to row, one by one, p99: ours / the workshop's programs",
            _latency("ours", "ms p99"),
            _latency("the workshop's programs", "ms p99"),
            most=1.2,
        ),
        Target(
            "recovery: rows restored / events recorded a second",
            ("recovery", "ours, rows restored", "rows/s"),
            ("recovery", "ours, recording these rows", "events/s"),
            least=1.0,
        ),
        Target(
            f"memory after {many:,} / after {few:,} events",
            ("growth, memory", f"{many:,} events", "MB"),
            ("growth, memory", f"{few:,} events", "MB"),
            most=1.3,
        ),
    ]
