"""Measure contestants in turns and compare their medians.

A shared machine is now fast, now slow. Contestants therefore alternate, and each
round starts with another one, so that a slow minute slows all of them.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import attrs

__all__ = ["Comparison", "Contestant", "Timing", "measure", "table"]

ROUNDS = 15
"""Enough for a median that one slow round doesn't move."""


@attrs.frozen
class Contestant:
    """One way to do the work."""

    name: str
    """What the table calls it."""
    run: Callable[[], object]
    """Does the work once."""


@attrs.frozen
class Comparison:
    """Several ways to do the same work; ours comes first."""

    title: str
    """What is done."""
    unit: str
    """What is counted, in the plural: ``"headers"``."""
    count: int
    """How many units one run does."""
    contestants: tuple[Contestant, ...] = attrs.field(validator=attrs.validators.min_len(1))
    """Who does it."""


@attrs.frozen
class Timing:
    """How long one contestant took."""

    name: str
    """The contestant."""
    seconds: tuple[float, ...]
    """The duration of each round."""

    @property
    def median_s(self) -> float:
        """The median duration in seconds."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """The middle half of the durations, as a fraction of the median."""
        lower, _, upper = statistics.quantiles(self.seconds, n=4)
        return (upper - lower) / self.median_s


def measure(comparison: Comparison, rounds: int = ROUNDS) -> tuple[Timing, ...]:
    """Run every contestant once to warm up and then once a round.

    Args:
        comparison: What to run.
        rounds: How many rounds are timed; at least 2.

    Returns:
        One timing a contestant, in the order of the comparison.
    """
    contestants = comparison.contestants
    for contestant in contestants:
        contestant.run()
    seconds: list[list[float]] = [[] for _ in contestants]
    for number in range(rounds):
        for offset in range(len(contestants)):
            turn = (number + offset) % len(contestants)
            seconds[turn].append(_time(contestants[turn].run))
    return tuple(
        Timing(contestant.name, tuple(taken))
        for contestant, taken in zip(contestants, seconds, strict=True)
    )


def _time(run: Callable[[], object]) -> float:
    gc.collect()  # so that nobody pays for the garbage of the one before
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def table(comparison: Comparison, timings: Sequence[Timing]) -> str:
    """Return a Markdown table; the ratio says how many times ours is faster."""
    rows = [("", "ms, median", "± half", f"{comparison.unit}/s", "ratio")]
    rows += list(_rows(comparison, timings))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(_cells(row, widths)) + " |"
        for row in (rows[0], tuple("-" * width for width in widths), *rows[1:])
    ]
    return "\n".join((f"{comparison.title} ({comparison.count} {comparison.unit})", "", *lines))


def _rows(
    comparison: Comparison, timings: Sequence[Timing]
) -> Iterator[tuple[str, str, str, str, str]]:
    ours = timings[0].median_s
    for timing in timings:
        yield (
            timing.name,
            f"{timing.median_s * 1000:.2f}",
            f"{timing.spread / 2:.0%}",
            f"{comparison.count / timing.median_s:,.0f}",
            f"{timing.median_s / ours:.2f}",
        )


def _cells(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
        yield cell.ljust(width) if column == 0 else cell.rjust(width)
