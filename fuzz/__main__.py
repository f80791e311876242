"""``python -m fuzz [TARGET …] [--seconds N] [--seed N]``: run fuzz targets for a bounded time.

With a seed the same inputs are tried again, so that a commit is judged by what it changes and
not by luck; without one it searches further.

``python -m fuzz TARGET --reproduce FILE`` runs one input and shows what happens; atheris is
not needed for that.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import attrs

from fuzz.expectations import bounded
from fuzz.targets import TARGETS, Target

_SECONDS: Final = 15
_MAX_INPUT_BYTES: Final = 16 * 1024
"""What limits guard against begins with a few bytes that claim to be many."""
_INPUT_TIMEOUT_S: Final = 20
"""A hang, on a machine with other work; slow inputs are found by their CPU time."""
_RSS_LIMIT_MB: Final = 1536
_GRACE_S: Final = 60
"""For starting, for reading the seeds, and for the last input."""
_PROGRESS: Final = re.compile(r"#|INFO:|DE: |\".*# Uses|Dictionary:|MS: ")
_INPUTS_DONE: Final = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


@attrs.frozen
class Outcome:
    """How one target ended."""

    target: Target
    """Which one."""
    inputs: int
    """How many inputs were tried."""
    seconds: float
    """How long it took."""
    found: tuple[Path, ...] = ()
    """The inputs that showed a defect."""
    log: str = ""
    """What libFuzzer wrote, if anything is wrong."""

    @property
    def failed(self) -> bool:
        """Whether there is a defect, or the target could not run."""
        return bool(self.log)


@attrs.frozen
class Bounds:
    """How far each target is run."""

    seconds: int
    """For how long."""
    seed: int
    """What the inputs are made from; 0 for others each time."""

    @property
    def environment(self) -> dict[str, str]:
        """What Python is run with: sets in the same order where the inputs are to be the same."""
        return {**os.environ, **({"PYTHONHASHSEED": "0"} if self.seed else {})}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the targets named on the command line, or all; 1 if one of them fails."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="TARGET", help=f"one of: {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=int, default=_SECONDS, help="time for each target")
    parser.add_argument("--seed", type=int, default=0, help="try the same inputs again; 0: others")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at once")
    parser.add_argument("--reproduce", type=Path, metavar="FILE", help="run this input only")
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"), help="where inputs go")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(TARGETS))
    if unknown:
        parser.error(f"no target called {', '.join(unknown)}; there are: {', '.join(TARGETS)}")
    chosen = [TARGETS[name] for name in options.names or TARGETS]
    if options.reproduce:
        if len(chosen) != 1:
            parser.error("name the one target that the input is for")
        bounded(chosen[0].run)(options.reproduce.read_bytes())
        print("a value or a PacsError: as promised")
        return 0
    if importlib.util.find_spec("atheris") is None:
        parser.error(
            "atheris is not installed: pip install atheris (wheels are for Linux on x86-64)"
        )
    bounds = Bounds(options.seconds, options.seed)
    return _run_all(chosen, bounds, options.found.resolve(), options.jobs)


def _run_all(targets: Sequence[Target], bounds: Bounds, found: Path, jobs: int) -> int:
    found.mkdir(parents=True, exist_ok=True)
    failed = False
    print(f"{'target':16} {'inputs':>9} {'a second':>9}  outcome")
    with ThreadPoolExecutor(jobs) as pool:
        for outcome in pool.map(lambda target: _run(target, bounds, found), targets):
            words = "FAILED" if outcome.failed else "values and errors only"
            rate = outcome.inputs / max(outcome.seconds, 1)
            print(f"{outcome.target.name:16} {outcome.inputs:9,} {rate:9,.0f}  {words}", flush=True)
            if outcome.failed:
                failed = True
                _explain(outcome)
    if not any(found.iterdir()):
        found.rmdir()
    return int(failed)


def _run(target: Target, bounds: Bounds, found: Path) -> Outcome:
    begun = time.monotonic()
    prefix = f"{found}{os.sep}{target.name}-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix="pacs-fuzz-") as grown:  # seeds are only read
        command = [
            sys.executable, "-m", "fuzz.under_atheris", target.name,
            f"-max_total_time={bounds.seconds}", f"-seed={bounds.seed}", f"-timeout={_INPUT_TIMEOUT_S}",
            f"-rss_limit_mb={_RSS_LIMIT_MB}", f"-max_len={_MAX_INPUT_BYTES}",
            f"-dict={target.dictionary}", f"-artifact_prefix={prefix}", "-print_final_stats=1",
            grown, str(target.folder),
        ]  # fmt: skip  # one option a line would hide the command
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace",
                timeout=bounds.seconds + _GRACE_S, check=False, env=bounds.environment,
            )  # fmt: skip
            log, code = done.stdout + done.stderr, done.returncode
        except subprocess.TimeoutExpired:
            log, code = "it did not stop when its time was up", 1
    inputs = max(map(int, _INPUTS_DONE.findall(log)), default=0)
    artifacts = tuple(sorted(found.glob(f"{Path(prefix).name}*")))
    elapsed = time.monotonic() - begun
    wrong = code != 0 or bool(artifacts) or inputs == 0
    return Outcome(target, inputs, elapsed, artifacts, log if wrong else "")


def _explain(outcome: Outcome) -> None:
    lines = [line for line in outcome.log.splitlines() if not _PROGRESS.match(line)]
    print("\n".join(f"    {line}" for line in lines[-40:]))
    for path in outcome.found:
        print(f"  reproduce: python -m fuzz {outcome.target.name} --reproduce {path}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
