"""What the run found, as text: pure."""

from collections.abc import Sequence
from itertools import chain
from statistics import median

from tests.faults.outcome import Outcome
from tests.faults.report import counts, details, longest_gap
from tests.rolling.restart import Restart


def text(outcome: Outcome, restarts: Sequence[Restart], partitions: int) -> str:
    consumed = by_partition(partitions, [(row["partition"], row["stages"]["consumed_us"]) for row in outcome.rows])
    acknowledged = by_partition(partitions, [(answer.partition, answer.at_us) for answer in outcome.acknowledged.values()])
    lines = [counts(outcome), details(outcome)]
    for kind in sorted({restart.kind for restart in restarts}):
        of_kind = [restart for restart in restarts if restart.kind == kind]
        lines.append(
            f"{len(of_kind)} restarts of a {kind}: exit codes {sorted({one.code for one in of_kind})}, "
            f"{spread([one.to_end_seconds for one in of_kind])} from SIGTERM to the end, "
            f"{spread([one.to_ready_seconds for one in of_kind])} from the start until ready"
        )
        for what, times in (
            ("posts in a partition", acknowledged),
            ("rows in a partition", consumed),
            ("all rows", [sorted(chain(*consumed))]),
        ):
            stood = [max(longest_gap(of_one, one.since_us, one.until_us) for of_one in times) / 1e6 for one in of_kind]
            lines.append(f"  stand-still of {what}, the longest of each restart: {spread(stood)}")
    return "\n".join(filter(None, lines))


def by_partition(partitions: int, times: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The sorted times of each partition."""
    found: list[list[int]] = [[] for _ in range(partitions)]
    for partition, at_us in sorted(times):
        found[partition].append(at_us)
    return found


def spread(seconds: Sequence[float]) -> str:
    return f"median {median(seconds):.1f} s [{min(seconds):.1f} – {max(seconds):.1f}]"
