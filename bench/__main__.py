"""Arguments, brokers, the parts one after the other, the report."""

import argparse
import logging
import sys
import time
from dataclasses import replace

from bench import growth, latency, peers, post, reading, recording, recovery, report, start, stream
from bench.brokers import brokers
from bench.run import FULL, QUICK, ROOT, Run, Size, say
from labapp.lab import LabError

PARTS = {
    "recording": recording,
    "post": post,
    "latency": latency,
    "recovery": recovery,
    "stream": stream,
    "reading": reading,
    "growth": growth,
    "start": start,
}
REPORT = ROOT / "docs" / "speed.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="How fast the app is, side by side with others.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}; default: all")
    parser.add_argument("--rounds", type=int, help=f"how often each is measured; default {FULL.rounds}")
    parser.add_argument("--events", type=int, help=f"waiting events that are recorded in a round; default {FULL.events:,}")
    parser.add_argument("--quick", action="store_true", help="one round and few events, to see that it works: the figures mean little")
    arguments = parser.parse_args()
    if unknown := [part for part in arguments.parts if part not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}")

    size = QUICK if arguments.quick else FULL
    size = replace(size, **{name: value for name in ("rounds", "events") if (value := getattr(arguments, name))})
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a topic or group that is not there yet is expected
    return bench([name for name in PARTS if name in arguments.parts or not arguments.parts], size)


def bench(parts: list[str], size: Size) -> int:
    """The exit code. After a failure or Ctrl+C it prints what was found before. Only a whole run writes docs/speed.md."""
    began, code, run = time.monotonic(), 0, None
    try:
        python = peers.python()
        with brokers() as lab:
            run = Run(lab, python, size)
            try:
                for name in parts:
                    PARTS[name].measure(run)
            finally:
                run.close()
    except KeyboardInterrupt:
        code = 130
    except (LabError, RuntimeError, TimeoutError) as exc:
        say(str(exc))
        code = 1
    if run is not None and run.figures:
        found = report.markdown(run.figures, size, report.machine(python), time.monotonic() - began)
        print(found)
        if code == 0 and len(parts) == len(PARTS) and size.rounds >= FULL.rounds and size.events >= FULL.events:
            REPORT.write_text(found)
            say(f"Written to {REPORT}.")
    return code


if __name__ == "__main__":
    sys.exit(main())
