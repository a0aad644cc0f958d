"""Rolling restarts under load: `python -m tests.rolling --rounds 10 --rate 300`, or with `--producers 1 --consumers 8` a larger group.

Producers stand behind HAProxy. Each round stops one worker by SIGTERM, starts it again, waits until it is ready, and goes on with the
next. No post may be refused, and each acknowledged event must have one row.

    balancer.py  the load balancer of the producers: HAProxy, or a client that asks for /health/ready itself
    haproxy.cfg  HAProxy's settings
    restart.py   workers that are restarted one after another
    report.py    the figures
"""
