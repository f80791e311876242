"""The benchmark harness measures in turns and the benchmarks still run."""

from __future__ import annotations

import functools

import pytest

from benchmarks.__main__ import main
from benchmarks.harness import Comparison, Contestant, Timing, measure, table


def test_contestants_alternate_and_take_turns_to_start() -> None:
    """After one warm-up each, every round runs all, and another one begins."""
    order: list[str] = []
    one, two = (Contestant(name, functools.partial(order.append, name)) for name in "ab")
    timings = measure(Comparison("nothing", "runs", 1, (one, two)), rounds=2)
    assert "".join(order) == "ab" + "ab" + "ba"
    assert [(timing.name, len(timing.seconds)) for timing in timings] == [("a", 2), ("b", 2)]


def test_table_gives_medians_rates_and_ratios_to_ours() -> None:
    """The first contestant is ours; the ratio says how much longer another one took."""
    nobody = Contestant("unused", lambda: None)
    comparison = Comparison("count", "things", 100, (nobody, nobody))
    timings = (Timing("ours", (0.1, 0.2, 0.3)), Timing("theirs", (0.5, 0.5, 0.5)))
    ours, theirs = table(comparison, timings).splitlines()[-2:]
    assert [cell.strip() for cell in ours.split("|")[1:-1]] == [
        "ours",
        "200.00",
        "50%",
        "500",
        "1.00",
    ]
    assert [cell.strip() for cell in theirs.split("|")[1:-1]] == [
        "theirs", "500.00", "0%", "200", "2.50",
    ]  # fmt: skip


@pytest.mark.slow
def test_encode_frames_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The benchmark has a table for each transfer syntax, with one thread and with two."""
    assert main(["encode_frames", "--rounds", "2"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("| pacs_sdk") == 2 * 12
    assert printed.count("| pydicom") == 6


@pytest.mark.parametrize("arguments", [["no-such-benchmark"], ["--rounds", "1"]])
def test_bad_usage_ends_with_status_2(arguments: list[str]) -> None:
    """A name that does not exist, or too few rounds for a median, is bad usage."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("buffer_reuse", 3),
        ("byte_swap", 6),
        ("decode_frames", 12),
        ("header_scan", 4),
        ("read_dataset", 11),
        ("rendering", 3),
    ],
)
def test_benchmarks_run(capsys: pytest.CaptureFixture[str], name: str, tables: int) -> None:
    """Every benchmark prints its tables, ours first."""
    assert main([name, "--rounds", "2"]) == 0
    assert capsys.readouterr().out.count(f"\n{name}: ") == tables
