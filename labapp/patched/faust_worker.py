"""Faust's worker command: it prints no banner beside a log in JSON."""

from faust.cli import worker as worker_command


def print_no_banner() -> None:
    worker_command.worker.on_worker_created = lambda command, worker: None
