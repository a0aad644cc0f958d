"""What the lab does to a process beside stopping and killing it: freezes it, slows it down, or ends it together with what only it has."""

import time
from contextlib import suppress

import psutil

from labapp.lab import BROKERS, Lab, LabError, processes, supervisord
from labapp.lab.kafka import Say

# How long a process stays frozen if nobody thaws it.
FROZEN_SECONDS = 20.0
# Less than the 3 s after which a broker is taken for dead. Then it could not become the leader.
FOLLOWER_FROZEN_SECONDS = 1.5


def freeze(lab: Lab, name: str, seconds: float = FROZEN_SECONDS, say: Say = print) -> None:
    """Freezes one with SIGSTOP. Returns once it is thawed or has ended, which is after so many seconds at the latest.

    It is thawed as well if an exception ends this, such as KeyboardInterrupt.
    """
    with supervisord.connected(lab) as supervisor:
        pid = supervisor.getProcessInfo(supervisord.full_name(name))["pid"]
        if not pid:
            raise LabError(f"{name} is not running, so there is nothing to freeze.")
        if processes.is_frozen(pid):
            raise LabError(f"{name} is frozen already.")
    process = psutil.Process(pid)  # it knows this process from a later one with the same pid
    with suppress(psutil.NoSuchProcess):
        try:
            process.suspend()
            deadline = time.monotonic() + seconds
            while not processes.is_frozen(pid) and process.is_running() and time.monotonic() < deadline:
                time.sleep(0.01)  # the system is about to do it
            say(f"{name} is frozen, for {seconds:g} s at most.")
            while processes.is_frozen(pid) and process.is_running() and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            process.resume()


def thaw(lab: Lab, name: str) -> bool:
    """Lets a frozen process go on (SIGCONT): False if it is not running. One that is not frozen takes no notice."""
    with supervisord.connected(lab) as supervisor:
        return processes.signal(supervisor, name, "CONT")


def slow(lab: Lab, name: str, ms: int) -> None:
    """Makes a consumer take so many milliseconds more for each event. 0 ends that, and so does its end."""
    if name not in supervisord.CONSUMERS:
        raise LabError(f"{name} is no consumer: choose one of {', '.join(supervisord.CONSUMERS)}.")
    if not any(status.name == name and status.pid for status in processes.statuses(lab)):
        raise LabError(f"{name} is not running, so there is nothing to slow down.")
    lab.slow_file(name).write_text(str(ms))


def lose(lab: Lab, leader: str, say: Say = print) -> None:
    """Kills a broker when it has records that the other one has not copied, since that one is frozen for FOLLOWER_FROZEN_SECONDS before."""
    follower = next(name for name in BROKERS if name != leader)

    def kill(text: str) -> None:
        say(text)
        time.sleep(FOLLOWER_FROZEN_SECONDS)
        processes.kill(lab, leader)
        thaw(lab, follower)

    freeze(lab, follower, 2 * FOLLOWER_FROZEN_SECONDS, kill)
