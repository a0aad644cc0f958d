"""One run of the bench: how much is measured, the programs it starts, the figures it finds."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psutil

from labapp.event.gaps import percentile
from labapp.lab import Lab
from tests.worker import free_port as free_port

ROOT = Path(__file__).parent.parent
PROGRAMS = Path(__file__).parent / "programs"
READY_SECONDS = 60
STOP_SECONDS = 25  # a whole lab takes up to 20


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Size:
    rounds: int
    events: int  # waiting, for the candidates that are fast
    few_events: int  # and for those that are slow
    post_seconds: float
    one_by_one: int  # POSTs of a latency
    paced: int
    rows: int  # restored
    growth: tuple[int, ...]


FULL = Size(5, 300_000, 20_000, 6, 1500, 2000, 100_000, (10_000, 100_000, 1_000_000))
QUICK = Size(1, 40_000, 5_000, 2, 300, 300, 20_000, (10_000, 40_000))


class Program:
    """A process that writes its output to a file. `stop` or `kill` ends it."""

    def __init__(self, name: str, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self.name, self._log = name, folder / f"{name}.log"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT)

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def alive(self) -> None:
        """Raises RuntimeError with the end of the log if the process has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}:\n{self.log[-3000:]}")

    def wait_for(self, what: Callable[["Program"], bool]) -> "Program":
        deadline = time.monotonic() + READY_SECONDS
        while not what(self):
            self.alive()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} is not ready after {READY_SECONDS} s:\n{self.log[-3000:]}")
            time.sleep(0.02)
        return self

    def resident_mb(self) -> float:
        return psutil.Process(self.process.pid).memory_info().rss / 1e6

    def cpu_seconds(self) -> float:
        """The CPU time of the process so far, of all its threads. Raises as `alive` does."""
        self.alive()
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@dataclass
class Run:
    lab: Lab
    peers_python: Path
    size: Size
    # By part, candidate and unit, one a round.
    figures: dict[tuple[str, str, str], list[float]] = field(default_factory=dict)
    _programs: list[Program] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def bootstrap(self) -> str:
        return self.lab.bootstrap_servers

    def found(self, part: str, candidate: str, unit: str, figure: float) -> None:
        self.figures.setdefault((part, candidate, unit), []).append(figure)
        say(f"  {part}, {candidate}: {figure:,.1f} {unit}")

    def found_times(self, part: str, candidate: str, times_us: Sequence[int]) -> None:
        for percent in (50, 99):
            self.found(part, candidate, f"ms p{percent}", (percentile(sorted(times_us), percent) or 0) / 1000)

    def fresh(self, word: str) -> str:
        """A name that no topic or group had before."""
        return f"{word}-{next(self._numbers)}"

    def rounds(self, part: str) -> Iterator[int]:
        for number in range(1, self.size.rounds + 1):
            say(f"{part}, round {number} of {self.size.rounds}")
            yield number

    def ours(self, role: str, topic: str, group: str, **settings: object) -> Program:
        """A worker of the app, as `faust -A labapp.app worker -l info` starts it, with these settings and else the defaults."""
        command = [sys.executable, "-m", "faust", "-A", "labapp.app", "worker", "-l", "info"]
        settings = {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap, "KAFKA_TOPIC": topic, "CONSUMER_GROUP": group, "ROLE": role, **settings}
        return self._start(f"ours-{role}", command, {"PYTHONPATH": str(ROOT), **settings})

    def lab_up(self, ports: Mapping[str, int]) -> Program:
        """All that `make run` starts, on these ports, in a folder of its own, which the run keeps."""
        settings = {
            "LAB_FOLDER": self.lab.folder / "programs" / "lab",
            "LAB_PORTS": ",".join(f"{name}={port}" for name, port in ports.items()),
        }
        return self._start("lab-up", [sys.executable, "-m", "labapp.lab", "up"], {"PYTHONPATH": str(ROOT), **settings})

    def program(self, name: str, peers: bool = False, **settings: object) -> Program:
        """A candidate of the folder `programs`, in the app's venv or in that of the peers."""
        python = str(self.peers_python) if peers else sys.executable
        return self._start(name, [python, str(PROGRAMS / f"{name}.py")], {"BOOTSTRAP": self.bootstrap, **settings})

    def _start(self, name: str, command: list[str], settings: dict[str, object]) -> Program:
        folder = self.lab.folder / "programs"
        folder.mkdir(exist_ok=True)  # theirs, and without a .env in it
        # Passes on only the shell's variables that no candidate reads as a setting.
        shell = {
            key: text
            for key, text in self.lab.environment().items()
            if key in (Lab.MARK, "PATH", "HOME", "TMPDIR", "LANG") or key.startswith(("LC_", "LD_"))
        }
        program = Program(f"{name}-{next(self._numbers)}", command, folder, {**shell, **{k: str(v) for k, v in settings.items()}})
        self._programs.append(program)
        return program

    @contextmanager
    def running(self, *programs: Program) -> Iterator[tuple[Program, ...]]:
        try:
            yield programs
        finally:
            for program in programs:
                program.stop()

    def close(self) -> None:
        for program in self._programs:
            if program.process.poll() is None:
                program.kill()
