"""What is sent to a candidate, by processes of their own: posts (client.py), and a steady stream of events."""

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from bench.run import ROOT


@dataclass(frozen=True)
class Posted:
    answered: int
    seconds: float
    due_us: dict[int, int]  # by id, and
    took_us: list[int]  # from then to the answer, each with `stamps` only

    @property
    def rate(self) -> float:
        return self.answered / self.seconds


def post(port: int, **options: Any) -> Posted:
    """Runs the client with these options. Raises RuntimeError if anything was not answered 200."""
    command = [sys.executable, "-m", "bench.client", "--port", str(port)]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    result = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(result.stdout)
    if found["refused"]:
        raise RuntimeError(f"{found['refused']} of {found['refused'] + found['answered']} posts were not answered 200")
    return Posted(found["answered"], found["seconds"], {int(number): us for number, us in found["due_us"].items()}, found["took_us"])
