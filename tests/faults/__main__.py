"""Reads the arguments, makes one run for each seed, and prints the table. Or runs a control."""

import argparse
import asyncio
import logging
import shutil
import sys
from pathlib import Path

from labapp.lab import Lab
from tests.faults import report
from tests.faults.controls import CONTROLS, control
from tests.faults.faults import FAULTS
from tests.faults.outcome import Outcome
from tests.faults.plan import OVERLAPPING, plan
from tests.faults.run import run
from tests.faults.target import target

LOGS = Path("test-output/faults")


def main() -> int:
    options = _options()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # here it is expected that brokers are away
    if options.control:
        outcome, found = control(options.control)
        print(f"\ncontrol {options.control}\n{report.counts(outcome)}\n{report.details(outcome)}")
        print(f"What must be found was found {found} times." if found else "What must be found was NOT found.")
        return 0 if found else 1
    outcomes = [_run(seed, options) for seed in options.seed]
    print(report.table(outcomes))
    return int(any(outcome.failed for outcome in outcomes))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Faults under load, then a count of every event.")
    parser.add_argument("--seconds", type=float, default=600, help="how long each seed's run lasts")
    parser.add_argument("--seed", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--rate", type=int, default=150, help="events a second")
    parser.add_argument("--overlapping", type=float, default=OVERLAPPING, help="the share of steps in which two faults overlap")
    parser.add_argument("--only", nargs="+", metavar="FAULT", help="these faults, such as 'kill broker-1'; default: all")
    parser.add_argument("--control", choices=CONTROLS, help="a run in which this tool must find something; the exit code is 0 if it does")
    options = parser.parse_args()
    options.kinds = [fault for fault in FAULTS if not options.only or fault.what in options.only]
    if unknown := set(options.only or ()) - {fault.what for fault in FAULTS}:
        parser.error(f"no such fault: {', '.join(unknown)}; a fault is one of: {', '.join(fault.what for fault in FAULTS)}")
    return options


def _run(seed: int, options: argparse.Namespace) -> Outcome:
    steps = plan(options.kinds, seed, options.overlapping)
    with target() as struck:
        outcome = asyncio.run(run(struck, options.seconds, steps, options.rate))
        print(f"\nseed {seed}\n{report.counts(outcome)}", flush=True)
        if outcome.failed:
            print(f"{report.details(outcome)}\nThe logs are in {_keep_logs(struck.lab, seed)}.", flush=True)
    return outcome


def _keep_logs(lab: Lab, seed: int) -> Path:
    kept = LOGS / f"seed-{seed}"
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(lab.logs, kept)
    return kept


if __name__ == "__main__":
    sys.exit(main())
