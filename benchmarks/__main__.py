"""``python -m benchmarks [NAME …] [--rounds N]``: run benchmarks and print their tables."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import platform
import sys
from collections.abc import Sequence

import benchmarks
from benchmarks.harness import ROUNDS, measure, table

_NO_BENCHMARK = ("__main__", "harness")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks named on the command line, or all."""
    names = [
        found.name
        for found in pkgutil.iter_modules(benchmarks.__path__)
        if found.name not in _NO_BENCHMARK
    ]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(names)}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="timed rounds (at least 2)")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(names))
    if unknown:
        parser.error(f"no benchmark called {', '.join(unknown)}; there are: {', '.join(names)}")
    if options.rounds < 2:
        parser.error("a median needs at least 2 rounds")
    print(f"Python {platform.python_version()}, {platform.machine()}; ratio: times ours")
    for name in options.names or names:
        for comparison in importlib.import_module(f"benchmarks.{name}").comparisons():
            timings = measure(comparison, options.rounds)
            print(f"\n{name}: {table(comparison, timings)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
