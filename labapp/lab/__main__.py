"""The lab's commands: `python -m labapp.lab up`, `kafka`, `status`, `stop`, `start`, `kill`, `freeze`, `thaw`, `slow`, `restart`, `lose`,
`clean-data`."""

import argparse
import dataclasses
import errno
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from labapp.lab import APP, BROKERS, KAFKA, PORTS, WORKERS, Lab, LabError, faults, from_environment, processes, supervisord


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Returns the exit code; what went wrong is one sentence on stderr."""
    options = _parser().parse_args(arguments)
    try:
        _run(from_environment(), options)
    except KeyboardInterrupt:
        return 0 if options.command in ("up", "kafka") else 130  # Ctrl+C is the normal end of these two
    except LabError as exc:
        print(exc, file=sys.stderr)
        return 1
    except OSError as exc:
        if exc.errno != errno.ENOSPC:
            raise
        print(f"The disk is full: {exc.filename or 'the lab'} could not be written.", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m labapp.lab", description="Kafka and the app on this machine.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("up", help="start Kafka, the producer and the consumer, until Ctrl+C")
    commands.add_parser("kafka", help="start Kafka alone, until Ctrl+C")
    commands.add_parser("status", help="show what runs").add_argument("--json", action="store_true", help="as JSON")
    for name, text in (
        ("stop", "stop a process; it stays down"),
        ("start", "start a process"),
        ("kill", "kill a process with -9; it comes back"),
        ("freeze", "freeze a process (SIGSTOP), until it is thawed or this command ends"),
        ("thaw", "let a frozen process go on (SIGCONT)"),
    ):
        commands.add_parser(name, help=text).add_argument("name", metavar="NAME", help=", ".join(PORTS))
    commands.choices["start"].add_argument("settings", metavar="SETTING=VALUE", nargs="*", help="settings of a worker, beside the lab's")
    freeze = commands.choices["freeze"]
    freeze.add_argument("--seconds", type=float, default=faults.FROZEN_SECONDS, help="the longest time; default: %(default)g")
    slow = commands.add_parser("slow", help="make a consumer slow until it ends or MS is 0, or a broker for a time")
    slow.add_argument("name", metavar="NAME", help=", ".join((*BROKERS, *supervisord.CONSUMERS)))
    slow.add_argument("ms", metavar="MS", type=int, help="milliseconds: for each event, or for which a broker stands still again and again")
    slow.add_argument("--seconds", type=float, default=faults.SLOW_SECONDS, help="how long a broker is slow; default: %(default)g")
    restart = commands.add_parser("restart", help="stop a worker and start it, with these settings")
    restart.add_argument("name", metavar="NAME", help=", ".join(WORKERS))
    restart.add_argument("settings", metavar="SETTING=VALUE", nargs="*", help="settings beside the lab's")
    lose = commands.add_parser("lose", help="kill a broker while the other one is frozen and does not replicate")
    lose.add_argument("name", metavar="NAME", choices=BROKERS, help=", ".join(BROKERS))
    commands.add_parser("clean-data", help="delete the local cluster's data")
    return parser


def _run(lab: Lab, options: argparse.Namespace) -> None:
    match options.command:
        case "up":
            _foreground(lab, APP)
        case "kafka":
            _foreground(lab, KAFKA)
        case "status":
            _show(processes.statuses(lab), options.json)
        case "start":
            processes.start(lab, _known(options.name), _say, options.settings)
        case "stop":
            stopped = processes.stop(lab, _known(options.name))
            _say(f"{options.name} is {'stopped' if stopped else 'already down'}.")
        case "kill":
            processes.kill(lab, _known(options.name))
            _say(f"{options.name} is killed and comes back by itself.")
        case "freeze":
            _end_on_signals()
            faults.freeze(lab, _known(options.name), options.seconds, _say)
            _say(f"{options.name} is thawed.")
        case "thaw":
            thawed = faults.thaw(lab, _known(options.name))
            _say(f"{options.name} is {'thawed' if thawed else 'not running'}.")
        case "restart":
            processes.stop(lab, _known(options.name))
            processes.start(lab, options.name, _say, options.settings)
        case "lose":
            _end_on_signals()
            faults.lose(lab, options.name, _say)
            _say(f"{options.name} is killed.")
        case "slow":
            _end_on_signals()
            faults.slow(lab, _known(options.name), options.ms, options.seconds, _say)
        case "clean-data":
            processes.forget(lab)
            _say(f"The data in {lab.data} is deleted.")


def _known(name: str) -> str:
    if name not in PORTS:
        raise LabError(f"There is no process {name!r} in the lab: choose one of {', '.join(PORTS)}.")
    return name


def _foreground(lab: Lab, names: Sequence[str]) -> None:
    _end_on_signals()
    began = time.monotonic()
    with processes.running(lab, names, _say):
        _say(f"\nReady after {time.monotonic() - began:.1f} s. Ctrl+C stops all of it.\n{_where(lab, names)}\n")
        _watch(lab)


def _end_on_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """The first signal begins the stop; nothing may disturb that, not even a second Ctrl+C."""
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt


def _where(lab: Lab, names: Sequence[str]) -> str:
    producer = f"http://localhost:{lab.ports['producer']}"
    lines = [
        ("page", f"{producer}/"),
        ("send an event", f"curl -X POST {producer}/ -H 'Content-Type: application/json' -d '{{\"id\": 1}}'"),
        ("what is consumed", f"http://localhost:{lab.ports['consumer']}/events"),
    ]
    if "producer" not in names:
        lines = []
    lines += [
        ("brokers", f"{lab.bootstrap_servers} (controller {lab.ports['controller']})"),
        ("logs", f"{_typed(lab.logs)}/"),
        ("more", f"{_typed(Path(sys.executable))} -m labapp.lab status, or stop, start, kill, freeze, thaw NAME: {', '.join(PORTS)}"),
    ]
    return "\n".join(f"  {what:<17} {where}" for what, where in lines)


def _typed(path: Path) -> str:
    """The path as one would type it here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _watch(lab: Lab) -> None:
    """Says what ends and what starts again, until a signal comes. Raises LabError if supervisord is gone."""
    before: dict[str, processes.Status] = {}
    while True:
        try:
            found = processes.statuses(lab)
        except LabError:
            raise LabError(f"supervisord, which runs the lab's processes, has ended: see {lab.log('supervisord')}.") from None
        for now in found:
            was = before.get(now.name, now)
            before[now.name] = now
            if was.pid and was.pid != now.pid:
                _say(f"{_clock()} {now.name} ended (pid {was.pid})")
            if now.pid and was.pid != now.pid:
                _say(f"{_clock()} {now.name} started (pid {now.pid})")
            if now.state == "fatal" != was.state:
                _say(f"{_clock()} {now.name} does not stay up and is not started again: see {lab.log(now.name)}")
        time.sleep(0.5)


def _clock() -> str:
    return time.strftime("%H:%M:%S")


def _show(statuses: Sequence[processes.Status], as_json: bool) -> None:
    if as_json:
        _say(json.dumps([dataclasses.asdict(status) for status in statuses]))
        return
    lines = [f"{'name':<16} {'state':<9} {'pid':>7} {'port':>5} since (UTC)"]
    for status in statuses:
        lines.append(f"{status.name:<16} {status.state:<9} {status.pid or '-':>7} {status.port:>5} {status.since or '-'}")
    _say("\n".join(lines))


def _say(text: str) -> None:
    try:
        print(text, flush=True)
    except OSError:  # the terminal or the pipe is gone, but the stop must go on in order
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
