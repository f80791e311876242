"""``python -m benchmarks [NAME …] [--rounds N]``: run benchmarks and print their tables."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import platform
import subprocess
import sys
from collections.abc import Sequence

import benchmarks
from benchmarks.harness import ROUNDS, figure_table, measure, table

_NO_BENCHMARK = (
    "__main__",
    "harness",
    "launch",
    "loopback_client",
    "made_files",
    "made_images",
    "null_server",
    "own_process",
    "peers",
    "pynetdicom_server",
)


def benchmark_names() -> tuple[str, ...]:
    """List the benchmarks: every module here that is not there to help them."""
    found = pkgutil.iter_modules(benchmarks.__path__)
    return tuple(one.name for one in found if one.name not in _NO_BENCHMARK)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks named on the command line, or all."""
    names = benchmark_names()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(names)}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="timed rounds (at least 2)")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(names))
    if unknown:
        parser.error(f"no benchmark called {', '.join(unknown)}; there are: {', '.join(names)}")
    if options.rounds < 2:
        parser.error("a median needs at least 2 rounds")
    chosen = options.names or names
    if len(chosen) == 1:
        print(f"Python {platform.python_version()}, {platform.machine()}; ratio: times ours")
        _run(chosen[0], options.rounds)
        return 0
    # Each has a process of its own: what one leaves in memory changes the times of the next.
    for name in chosen:
        command = (sys.executable, "-m", "benchmarks", name, "--rounds", str(options.rounds))
        if subprocess.run(command, check=False).returncode:
            print(f"the benchmark {name} failed", file=sys.stderr)
            return 1
    return 0


def _run(name: str, rounds: int) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    if hasattr(module, "figures"):  # there is nobody to take turns with
        print(f"\n{name}:\n\n{figure_table(module.figures())}", flush=True)
        return
    for comparison in module.comparisons():
        timings = measure(comparison, rounds)
        print(f"\n{name}: {table(comparison, timings)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
