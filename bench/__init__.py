"""Measures how fast the app is, side by side with other ways to do the same, on local brokers of its own.

`make bench` runs all of it and writes docs/speed.md. `venv/bin/python -m bench recording latency --rounds 3` runs some, and `--quick` only
shows that all of it works: both only print what they find.

Each figure is the median of the rounds, with the least and the most. Within a round the candidates take turns, so that what else the
machine does meets all of them. What counts are the ratios (targets.py): the figures are this machine's.

`recording.py`, `post.py`, `latency.py`, `recovery.py`, `stream.py`, `reading.py`, `growth.py` and `start.py` are the parts and say what
they measure and how. `programs/` are the candidates, one file each, none of the app's code in them. Those that need packages of others run
in `bench/venv`.
"""
