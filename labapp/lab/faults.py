"""Freezes a process, slows a consumer or a broker down, or kills a broker that has records which the other broker has not replicated."""

import time
from collections.abc import Callable
from contextlib import suppress

import psutil

from labapp.lab import BROKERS, Lab, LabError, processes, supervisord
from labapp.lab.kafka import Say

# How long a process stays frozen if nobody thaws it.
FROZEN_SECONDS = 20.0
# Less than the 3 s after which Kafka takes a broker for dead. A dead broker could not become the leader.
FOLLOWER_FROZEN_SECONDS = 1.5
# How long a broker stays slow, and how long it runs between two stand-stills.
SLOW_SECONDS = 20.0
BREATH_SECONDS = 0.05


def freeze(lab: Lab, name: str, seconds: float = FROZEN_SECONDS, say: Say = print) -> None:
    """Freezes a process with SIGSTOP. Returns once it is thawed or has ended. Thaws it after `seconds` at the latest.

    An exception such as KeyboardInterrupt also thaws it.
    """
    process = _running(lab, name, "freeze")
    if processes.is_frozen(process.pid):
        raise LabError(f"{name} is frozen already.")
    with suppress(psutil.NoSuchProcess):
        try:
            process.suspend()
            deadline = time.monotonic() + seconds
            while not processes.is_frozen(process.pid) and process.is_running() and time.monotonic() < deadline:
                time.sleep(0.01)  # until the system has frozen it
            say(f"{name} is frozen, for {seconds:g} s at most.")
            while processes.is_frozen(process.pid) and process.is_running() and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            process.resume()


def thaw(lab: Lab, name: str) -> bool:
    """Lets a frozen process go on (SIGCONT). A process that is not frozen ignores it. Returns False if the process is not running."""
    with supervisord.connected(lab) as supervisor:
        return processes.signal(supervisor, name, "CONT")


def slow(lab: Lab, name: str, ms: int, seconds: float = SLOW_SECONDS, say: Say = print) -> None:
    """Makes a consumer take `ms` milliseconds more for each event, until it ends or until `ms` is 0. Returns at once.

    Makes a broker stand still for `ms` milliseconds again and again, as if its disk or its network were slow. Returns after `seconds`.
    """
    if name in BROKERS:
        _stutter(_running(lab, name, "slow down"), ms / 1000, seconds, lambda: say(f"{name} is slow, for {seconds:g} s."))
        return
    if name not in supervisord.CONSUMERS:
        raise LabError(f"{name} can't be slow: choose one of {', '.join((*BROKERS, *supervisord.CONSUMERS))}.")
    _running(lab, name, "slow down")
    lab.slow_file(name).write_text(str(ms))
    say(f"{name} takes {ms} ms more for each event.")


def _stutter(process: psutil.Process, still_seconds: float, seconds: float, begun: Callable[[], None]) -> None:
    deadline = time.monotonic() + seconds
    with suppress(psutil.NoSuchProcess):
        try:
            begun()
            while time.monotonic() < deadline:
                process.suspend()
                time.sleep(still_seconds)
                process.resume()
                time.sleep(BREATH_SECONDS)
        finally:
            process.resume()


def _running(lab: Lab, name: str, what: str) -> psutil.Process:
    with supervisord.connected(lab) as supervisor:
        pid = supervisor.getProcessInfo(supervisord.full_name(name))["pid"]
    if not pid:
        raise LabError(f"{name} is not running, so there is nothing to {what}.")
    return psutil.Process(pid)  # psutil tells this process from a later one with the same pid


def lose(lab: Lab, leader: str, say: Say = print) -> None:
    """Kills a broker that has records which the other has not replicated. The other is frozen for FOLLOWER_FROZEN_SECONDS before."""
    follower = next(name for name in BROKERS if name != leader)

    def kill(text: str) -> None:
        say(text)
        time.sleep(FOLLOWER_FROZEN_SECONDS)
        processes.kill(lab, leader)
        thaw(lab, follower)

    freeze(lab, follower, 2 * FOLLOWER_FROZEN_SECONDS, kill)
