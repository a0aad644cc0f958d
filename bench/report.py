"""The figures as Markdown: what was found, the ratios against their targets, and on which machine."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median

from bench.run import Size
from bench.targets import Key, Target, targets
from labapp.lab import kafka

OUR_PACKAGES = ("faust-streaming", "aiokafka", "aiohttp", "orjson")
PEER_PACKAGES = ("quixstreams", "faststream", "flask", "kafka-python")


def markdown(figures: Mapping[Key, Sequence[float]], size: Size, peers_python: Path, seconds: float) -> str:
    lines = [f"Median [least – most] of {size.rounds}, {date.today()}, {seconds / 60:.0f} minutes. {_machine(peers_python)}"]
    part = ""
    parts = list(dict.fromkeys(name for name, _, _ in figures))
    for (name, candidate, unit), values in sorted(figures.items(), key=lambda found: parts.index(found[0][0])):
        if name != part:
            part = name
            lines += ["", f"| {name} | | |", "| --- | ---: | --- |"]
        lines.append(f"| {candidate} | {_spread(values)} | {unit} |")
    lines += ["", "| ratio | found | target | |", "| --- | ---: | ---: | --- |"]
    lines += [_ratio(target, figures) for target in targets(size.growth) if target.figure in figures and target.by in figures]
    return "\n".join(lines)


def _ratio(target: Target, figures: Mapping[Key, Sequence[float]]) -> str:
    """Of the medians; in brackets of the rounds, each by itself."""
    upper, lower = figures[target.figure], figures[target.by]
    ratio = median(upper) / median(lower)
    rounds = [one / other for one, other in zip(upper, lower, strict=False)]  # an interrupted run has fewer of one
    found = f"{ratio:.2f} [{min(rounds):.2f} – {max(rounds):.2f}]"
    return f"| {target.name} | {found} | {target.text} | {'met' if target.met(ratio) else 'below' if target.least else 'above'} |"


def _spread(values: Sequence[float]) -> str:
    digits = 0 if median(values) >= 100 else 1
    return f"{median(values):,.{digits}f} [{min(values):,.{digits}f} – {max(values):,.{digits}f}]"


def _machine(peers_python: Path) -> str:
    ask = f"from importlib.metadata import version; print(*map(version, {PEER_PACKAGES}))"
    peers = subprocess.run([peers_python, "-c", ask], capture_output=True, text=True, check=True).stdout.split()
    packages = [f"{name} {version(name)}" for name in OUR_PACKAGES]
    packages += [f"{name} {number}" for name, number in zip(PEER_PACKAGES, peers, strict=True)]
    return (
        f"{os.cpu_count()} cores ({_cpu()}), {platform.system()}, load {os.getloadavg()[2]:.1f} over the last 15 minutes, "
        f"Python {platform.python_version()}, Kafka {kafka.VERSION}, {', '.join(packages)}."
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.machine()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
