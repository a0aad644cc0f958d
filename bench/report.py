"""The figures as Markdown: what was found, the ratios and their targets, and the machine."""

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


def markdown(figures: Mapping[Key, Sequence[float]], size: Size, on: str, seconds: float) -> str:
    """`on` describes the machine and the versions."""
    lines = [
        "# Speed",
        "",
        "`make bench` measured this and wrote this file. It compares the app with others, side by side in one run. The ratios say more",
        "than the figures, which are this machine's. What a part measures, and how, is at the top of its file in [bench/](../bench).",
        "",
        f"Median [least – most] of {size.rounds} rounds, {date.today()}, {seconds / 60:.0f} minutes. At a rate, times count from when an",
        f"event was due. {on}",
        "",
        "| ratio | found | target | |",
        "| --- | ---: | ---: | --- |",
    ]
    parts = list(dict.fromkeys(name for name, _, _ in figures))
    lines += [_compared(target, figures) for target in targets(size.growth) if target.figure[0] in parts]
    lines += ["", "| part | what | median [least – most] | |", "| --- | --- | ---: | --- |"]
    for (name, candidate, unit), values in sorted(figures.items(), key=lambda found: parts.index(found[0][0])):
        lines.append(f"| {name} | {candidate} | {_spread(values)} | {unit} |")
    return "\n".join(lines) + "\n"


def _compared(target: Target, figures: Mapping[Key, Sequence[float]]) -> str:
    """The ratio of the medians; in brackets the ratios of the rounds."""
    if not {target.figure, target.by or target.figure} <= figures.keys():
        return f"| {target.name} | – | {target.text} | not found |"
    rounds, ratio = list(figures[target.figure]), median(figures[target.figure])
    if target.by is not None:
        lower = figures[target.by]
        ratio /= median(lower)
        rounds = [one / other for one, other in zip(rounds, lower, strict=False)]  # an interrupted run has fewer of one
    digits = 0 if ratio >= 100 else 2
    found = f"{ratio:,.{digits}f} [{min(rounds):,.{digits}f} – {max(rounds):,.{digits}f}]"
    return f"| {target.name} | {found} | {target.text} | {'met' if target.met(ratio) else 'below' if target.least else 'above'} |"


def _spread(values: Sequence[float]) -> str:
    digits = 0 if median(values) >= 100 else 1 if median(values) >= 10 else 2
    return f"{median(values):,.{digits}f} [{min(values):,.{digits}f} – {max(values):,.{digits}f}]"


def machine(peers_python: Path) -> str:
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
