"""What the run found, as a table in Markdown and one line of counts: pure.

*Stand-still*: the longest time in a step in which a partition got no event acknowledged (posts) or recorded (rows). A step lasts until the
next one begins. For rows, their own *consumed* counts.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from tests.faults.outcome import Outcome

PARTITIONS = (0, 1)
TWO = " + "  # in a step's name, between two faults

Stood = tuple[list[float], list[float]]  # seconds, each time: posts, rows


def stand_stills(outcome: Outcome) -> dict[str, Stood]:
    """By step: the seconds of each stand-still of a partition, for posts and for rows."""
    posts: dict[int, list[int]] = defaultdict(list)
    rows: dict[int, list[int]] = defaultdict(list)
    for answer in outcome.acknowledged.values():
        posts[answer.partition].append(answer.at_us)
    for row in outcome.rows:
        rows[row["partition"]].append(row["stages"]["consumed_us"])
    ends = [since_us for _, since_us in outcome.faults[1:]] + [outcome.until_us]
    found: dict[str, Stood] = defaultdict(lambda: ([], []))
    for (what, since_us), until_us in zip(outcome.faults, ends, strict=True):
        for figures, times in zip(found[what], (posts, rows), strict=True):
            figures.append(max(longest_gap(sorted(times[partition]), since_us, until_us) for partition in PARTITIONS) / 1e6)
    return found


def longest_gap(times_us: Sequence[int], since_us: int, until_us: int) -> int:
    inside = [since_us, *(at for at in times_us if since_us <= at <= until_us), until_us]
    return max(later - earlier for earlier, later in pairwise(inside))


def table(outcomes: Sequence[Outcome]) -> str:
    """A row for each fault that came alone, and one for all pairs. Below the table, the pair with the longest stand-still."""
    stood: dict[str, Stood] = defaultdict(lambda: ([], []))
    pairs = []
    for outcome in outcomes:
        for what, found in stand_stills(outcome).items():
            if TWO in what:
                pairs.append((what, found))
            for figures, more in zip(stood["two at a time" if TWO in what else what], found, strict=True):
                figures += more
    lines = ["| fault | times | longest stand-still of posts | longest stand-still of rows |", "| --- | --- | --- | --- |"]
    for what, (posts, rows) in sorted(stood.items()):
        lines.append(f"| {what} | {len(posts)} | {max(posts):.1f} s | {max(rows):.1f} s |")
    for place, name in enumerate(("posts", "rows") if pairs else ()):
        _, worst = max((max(found[place]), what) for what, found in pairs)
        lines.append(f"\nOf two at a time {name} stood still longest by {worst}.")
    return "\n".join(lines)


def counts(outcome: Outcome) -> str:
    recorded = len({row["key"] for row in outcome.rows})
    again = sum(row["deliveries"] > 1 for row in outcome.rows)
    two = sum(TWO in what for what, _ in outcome.faults)
    return (
        f"steps {len(outcome.faults)} ({two} of two faults), sent {len(outcome.posted)}, acknowledged {len(outcome.acknowledged)}, "
        f"refused {outcome.refused}, recorded {recorded} ({again} delivered more than once), missing {len(outcome.missing)}, "
        f"twice {outcome.twice}, wrong {len(outcome.wrong)}, limbo {len(outcome.limbo)}"
    )


def details(outcome: Outcome, most: int = 20) -> str:
    """Names the keys and the workers that failed. Empty if nothing failed."""
    lines = [f"refused {count}: {why}" for why, count in outcome.refusals.most_common(most)]
    lines += [f"{what}: {' '.join(sorted(keys)[:most])}" for what, keys in (("missing", outcome.missing), ("wrong", outcome.wrong)) if keys]
    lines += [f"limbo: {name} {why}" for name, why in outcome.limbo.items()]
    return "\n".join(lines)
