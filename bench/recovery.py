"""Recovery: how fast a worker that was killed (-9) restores its table, compared with how fast it recorded the same rows.

All rows are kept (ROWS_KEPT is raised), on 4 partitions. The worker's log gives the restored rows a second, from `Restoring state` to
`Restore complete`. The changelog's end gives the recorded events a second (brokers.written_pace). Neither includes the time until the
group notices that the killed worker is gone (the session, 6 s).
"""

import asyncio
import re
from datetime import datetime

from bench.brokers import PARTITIONS, delete_topics, fill, written_pace
from bench.http import is_ready, rows
from bench.run import Program, Run, free_port

STAMP = r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) "


def measure(run: Run) -> None:
    topic, count = run.fresh("recovery"), run.size.rows
    asyncio.run(fill(run.bootstrap, topic, count))
    for _ in run.rounds("recovery"):
        group, port = run.fresh("recovery"), free_port()
        settings = {"PORT": port, "KAFKA_PARTITIONS": PARTITIONS, "ROWS_KEPT": 10 * count, "ROWS_KEPT_BYTES": 1 << 32}
        first = run.ours("consumer", topic, group, **settings)
        with run.running(first):
            pace = asyncio.run(written_pace(run.bootstrap, f"{group}-events-changelog", count, count, first.cpu_seconds))
            run.found("recovery", "ours, recording these rows", "events/s", pace.events_a_second)
            first.kill()
        second = run.ours("consumer", topic, group, **settings)
        with run.running(second):
            second.wait_for(lambda program: "Restore complete" in program.log).wait_for(is_ready(port))
            seconds = (logged(second, "Restore complete") - logged(second, "Restoring state")).total_seconds()
            restored = sum(1 for _ in rows(port))
            if restored != count:
                raise RuntimeError(f"{restored:,} of {count:,} rows were restored")
            run.found("recovery", "ours, rows restored", "rows/s", count / seconds)
    asyncio.run(delete_topics(run.bootstrap, unless=lambda topic: False))


def logged(program: Program, text: str) -> datetime:
    found = re.search(STAMP + f".*{text}", program.log)
    assert found, program.log
    return datetime.strptime(found.group(1), "%Y-%m-%d %H:%M:%S,%f")
