"""Measure contestants in turns and compare their medians.

A shared machine is now fast, now slow. Contestants therefore alternate, and each
round starts with another one, so that a slow minute slows all of them.
"""

from __future__ import annotations

import contextlib
import gc
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager

import attrs

__all__ = [
    "Comparison",
    "Contestant",
    "Figure",
    "Timing",
    "figure_table",
    "measure",
    "scaled",
    "table",
]

ROUNDS = 15
"""Enough for a median that one slow round doesn't move."""


def scaled(count: int) -> int:
    """Return how many units a long benchmark does: ``PACS_BENCH_SCALE=0.1`` makes it a tenth.

    Args:
        count: How many it does by default.
    """
    return max(1, round(count * float(os.environ.get("PACS_BENCH_SCALE", "1"))))


@attrs.frozen
class Contestant:
    """One way to do the work."""

    name: str
    """What the table calls it."""
    run: Callable[[], object]
    """Does the work once."""
    around: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext
    """What is entered before each run and left after it, neither of which is timed."""
    count: int | None = None
    """How many units its run does, where that isn't the comparison's number: a slow one may
    do less, and its time is scaled."""


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
    unit_bytes: int = 0
    """How long a unit is; where it is known, the table says MB/s."""


@attrs.frozen
class Figure:
    """One thing that was measured, where there is nobody to compare it with."""

    what: str
    """What was measured."""
    value: str
    """How much, with its unit."""


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
        _time(contestant, comparison.count)
    seconds: list[list[float]] = [[] for _ in contestants]
    for number in range(rounds):
        for offset in range(len(contestants)):
            turn = (number + offset) % len(contestants)
            seconds[turn].append(_time(contestants[turn], comparison.count))
    return tuple(
        Timing(contestant.name, tuple(taken))
        for contestant, taken in zip(contestants, seconds, strict=True)
    )


def _time(contestant: Contestant, count: int) -> float:
    with contestant.around():
        gc.collect()  # so that nobody pays for the garbage of the one before
        start = time.perf_counter()
        contestant.run()
        taken = time.perf_counter() - start
    return taken * count / (contestant.count or count)


def table(comparison: Comparison, timings: Sequence[Timing]) -> str:
    """Return a Markdown table; the ratio says how many times ours is faster."""
    heading = ["", "ms, median", "± half", f"{comparison.unit}/s", "ratio"]
    if comparison.unit_bytes:
        heading.insert(-1, "MB/s")
    rows = [heading, *_rows(comparison, timings)]
    return "\n".join(
        (f"{comparison.title} ({comparison.count} {comparison.unit})", "", *_lines(rows))
    )


def figure_table(figures: Iterable[Figure]) -> str:
    """Return a Markdown table of figures that nobody is compared with."""
    return "\n".join(_lines([["what", "measured"], *([one.what, one.value] for one in figures)]))


def _lines(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in (rows[0], ["-" * width for width in widths], *rows[1:]):
        yield "| " + " | ".join(_cells(row, widths)) + " |"


def _rows(comparison: Comparison, timings: Sequence[Timing]) -> Iterator[list[str]]:
    ours = timings[0].median_s
    for timing in timings:
        per_second = comparison.count / timing.median_s
        row = [
            timing.name,
            f"{timing.median_s * 1000:.2f}",
            f"{timing.spread / 2:.0%}",
            f"{per_second:,.0f}",
            f"{timing.median_s / ours:.2f}",
        ]
        if comparison.unit_bytes:
            row.insert(-1, f"{per_second * comparison.unit_bytes / 1e6:,.0f}")
        yield row


def _cells(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
        yield cell.ljust(width) if column == 0 else cell.rjust(width)
