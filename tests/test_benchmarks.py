"""The benchmark harness measures in turns and the benchmarks still run."""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

import benchmarks
from benchmarks.__main__ import benchmark_names, main
from benchmarks.archive_ingest import in_turns
from benchmarks.harness import (
    Comparison,
    Contestant,
    Figure,
    Timing,
    figure_table,
    measure,
    scaled,
    table,
)
from benchmarks.loopback_client import CT_IMAGE_STORAGE, Client, store_message
from benchmarks.made_images import made_images
from benchmarks.peers import null_server
from pacs_sdk.encoding import read_file
from pacs_sdk.services import StorageScu
from pacs_sdk.storage import IndexDatabase, Query, index_url


@pytest.mark.slow
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


def test_no_contestant_of_a_disk_always_follows_the_same_other() -> None:
    """Each begins a round once, and who comes behind whom changes: a burst is nobody's alone."""
    order: list[str] = []

    def contestant(name: str) -> float:
        order.append(name)
        return float(len(order))

    medians = in_turns({name: functools.partial(contestant, name) for name in "abcdef"})
    rounds = ["".join(order[start : start + 6]) for start in range(0, 36, 6)]
    assert rounds == ["abcdef", "bafedc", "cdefab", "dcbafe", "efabcd", "fedcba"]
    assert medians["a"] == statistics.median([1, 8, 17, 22, 27, 36])


@pytest.mark.parametrize("name", benchmark_names())
def test_each_benchmark_has_something_to_measure(name: str) -> None:
    """A module that only helps the others must not end a run of all benchmarks."""
    source = Path(benchmarks.__path__[0], f"{name}.py").read_text(encoding="utf-8")
    functions = {one.name for one in ast.parse(source).body if isinstance(one, ast.FunctionDef)}
    assert functions & {"comparisons", "figures"}


@pytest.mark.slow
def test_what_is_around_a_run_is_done_for_each_and_not_timed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server can be started before each run and stopped after it at nobody's cost."""
    order: list[str] = []
    now = 0.0
    monkeypatch.setattr("time.perf_counter", lambda: now)

    def run() -> None:
        nonlocal now
        now += 2.0
        order.append("run")

    @contextlib.contextmanager
    def around() -> Iterator[None]:
        nonlocal now
        now += 100.0
        order.append("before")
        yield
        now += 100.0
        order.append("after")

    (timing,) = measure(Comparison("x", "runs", 1, (Contestant("a", run, around),)), rounds=2)
    assert order == ["before", "run", "after"] * 3
    assert timing.seconds == (2.0, 2.0)


@pytest.mark.slow
def test_a_contestant_that_does_less_has_its_time_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten of a hundred units in one second count as ten seconds."""
    now = 0.0
    monkeypatch.setattr("time.perf_counter", lambda: now)

    def run() -> None:
        nonlocal now
        now += 1.0

    comparison = Comparison("x", "units", 100, (Contestant("slow", run, count=10),))
    (timing,) = measure(comparison, rounds=2)
    assert timing.seconds == (10.0, 10.0)


def test_table_gives_megabytes_where_a_unit_has_a_length() -> None:
    """100 units of 500,000 bytes in half a second are 100 MB/s."""
    comparison = Comparison(
        "send", "images", 100, (Contestant("unused", lambda: None),), unit_bytes=500_000
    )
    lines = table(comparison, (Timing("ours", (0.5, 0.5)),)).splitlines()
    heading, ours = ([cell.strip() for cell in lines[n].split("|")[1:-1]] for n in (2, 4))
    assert heading == ["", "ms, median", "± half", "images/s", "MB/s", "ratio"]
    assert ours == ["ours", "500.00", "0%", "200", "100", "1.00"]


def test_figures_have_a_table_of_their_own() -> None:
    """What nobody is compared with is a name and a value."""
    lines = figure_table([Figure("stop()", "3 ms")]).splitlines()
    assert [[cell.strip() for cell in line.split("|")[1:-1]] for line in (lines[0], lines[2])] == [
        ["what", "measured"],
        ["stop()", "3 ms"],
    ]


def test_long_benchmarks_can_be_made_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    """PACS_BENCH_SCALE multiplies what they do, which stays at least one unit."""
    monkeypatch.delenv("PACS_BENCH_SCALE", raising=False)
    assert scaled(500) == 500
    monkeypatch.setenv("PACS_BENCH_SCALE", "0.1")
    assert (scaled(500), scaled(2)) == (50, 1)


_DCMTK = pytest.mark.interop("storescp", "storescu")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("associations", 2),
        ("bare_copy", 1),
        ("query_studies", 2),
        pytest.param("retrieve_images", 2, marks=_DCMTK),
        pytest.param("receive_images", 4, marks=_DCMTK),
        pytest.param("send_images", 2, marks=_DCMTK),
    ],
)
def test_network_benchmarks_run(monkeypatch: pytest.MonkeyPatch, name: str, tables: int) -> None:
    """Every benchmark makes its tables, ours first."""
    monkeypatch.setenv("PACS_BENCH_SCALE", "0.02")
    comparisons = importlib.import_module(f"benchmarks.{name}").comparisons()
    assert len(comparisons) == tables
    for comparison in comparisons:
        # Ours and one more: the slow starts of all the peers would take minutes.
        fewer = attrs.evolve(comparison, contestants=comparison.contestants[:2])
        printed = table(fewer, measure(fewer, 2))
        assert fewer.contestants[0].name.startswith("pacs_sdk")
        assert "1.00 |" in printed


@pytest.mark.slow
def test_the_server_that_keeps_nothing_answers() -> None:
    """A client that is told anything but Success says so, one that is told nothing waits."""
    images = [bytes(100), bytes(300_000)]
    with null_server("null").running() as server:
        for _ in range(2):
            client = Client(server.port, CT_IMAGE_STORAGE)
            for number, data in enumerate(images, 1):
                client.store(store_message(f"1.2.{number}", [memoryview(data)]))
            client.release()


@pytest.mark.slow
def test_the_plain_archive_has_files_and_rows(tmp_path: Path) -> None:
    """Else ours could not be compared with it: all files, and rows 32 at a time."""
    images = [read_file(path).unwrap() for path in made_images(40, side=16).paths]
    plain = null_server("plain", keeps=True, indexes=True)
    here = attrs.evolve(plain, command=lambda _, port: plain.command(tmp_path, port))
    with here.running() as server:
        report = StorageScu().store(server.peer, images).unwrap()
    assert {one.status for one in report.outcomes} == {0}
    assert len(list((tmp_path / "place").iterdir())) == 40
    index = IndexDatabase(index_url(tmp_path / "index.sqlite"))
    assert index.count(Query.of("IMAGE").unwrap()).unwrap() == 32
    index.close()


@pytest.mark.slow
def test_association_memory_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figures of memory and of stopping are printed, and no descriptor is lost."""
    monkeypatch.setenv("PACS_BENCH_SCALE", "0.02")
    assert main(["association_memory"]) == 0
    printed = capsys.readouterr().out
    assert "an idle association, of 10" in printed
    assert "an object of 40 MiB" in printed
    assert re.search(r"(\+0|-\d+) descriptors", printed)
    assert "stop() with 2 idle associations" in printed


@pytest.mark.slow
def test_index_queries_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each usual query has its figure."""
    monkeypatch.setenv("PACS_BENCH_SCALE", "0.005")
    monkeypatch.delenv("PACS_BENCH_POSTGRES", raising=False)
    assert main(["index_queries"]) == 0
    printed = capsys.readouterr().out
    assert "SQLite: 5,000 instances of 500 studies" in printed
    assert printed.count(" ms, p95 ") == 13


@pytest.mark.slow
def test_encode_frames_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The benchmark has a table for each transfer syntax, with one thread and with two."""
    monkeypatch.setenv("PACS_BENCH_SCALE", "0.1")
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
        ("iod_validation", 4),
        ("load_series", 4),
        ("read_dataset", 11),
        ("rendering", 3),
    ],
)
def test_benchmarks_run(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    tables: int,
) -> None:
    """Every benchmark prints its tables, ours first."""
    monkeypatch.setenv("PACS_BENCH_SCALE", "0.05")
    assert main([name, "--rounds", "2"]) == 0
    assert capsys.readouterr().out.count(f"\n{name}: ") == tables


@pytest.mark.slow
def test_reindex_runs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The rate of one reading process and of as many as there are processors is printed."""
    monkeypatch.setenv("PACS_BENCH_SCALE", "0.01")
    assert main(["reindex"]) == 0
    printed = capsys.readouterr().out
    assert "reindex of 200 CT files of 524 kB, 1 reading process " in printed
    assert "files/s, median of 3" in printed
