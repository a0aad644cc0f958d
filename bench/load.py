"""Runs the load on a candidate, in processes of their own: posts and reads (client.py), and streams of rows (listen.py)."""

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
    found = _run("bench.client", port, options)
    if found["refused"]:
        raise RuntimeError(f"{found['refused']} of {found['refused'] + found['answered']} requests were not answered 200")
    return Posted(found["answered"], found["seconds"], {int(number): us for number, us in found["due_us"].items()}, found["took_us"])


def listen(port: int, **options: Any) -> float:
    """Rows a second that the streams brought, all together. Raises RuntimeError if they brought none."""
    found = _run("bench.listen", port, options)
    if not found["rows"]:
        raise RuntimeError("the event stream brought no row")
    return found["rows"] / found["seconds"]


def _run(module: str, port: int, options: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", module, "--port", str(port)]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    result = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout)
