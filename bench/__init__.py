"""Measures how fast the app is, side by side with other programs that do the same, on local brokers of its own.

`make bench` runs all parts and writes docs/speed.md. `venv/bin/python -m bench recording latency --rounds 3` runs some parts. `--quick`
only shows that everything works. The last two only print their figures.

Each figure is the median of the rounds, with the least and the most. Within a round the candidates take turns, so that other load on the
machine affects all of them. The ratios count (targets.py), because the figures depend on this machine.

`recording.py`, `post.py`, `latency.py`, `recovery.py`, `stream.py`, `reading.py`, `growth.py` and `start.py` are the parts. Each says what
it measures and how. `programs/` has the candidates, one file each, without any of the app's code. Candidates that need other packages run
in `bench/venv`.
"""
