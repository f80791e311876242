"""Other processes for tests: real ones, started together, or killed at a certain point."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "killed_processes", "run_together"]

ROOT = Path(__file__).parents[2]
"""Where the package is imported from."""

_FRAME = """
import json, sys
arguments = json.loads(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
{body}
print(json.dumps(run(*arguments)), flush=True)
"""


def _command(body: str, arguments: Sequence[object]) -> list[str]:
    text = _FRAME.format(body=body)
    return [sys.executable, "-W", "error", "-c", text, json.dumps(arguments, default=str)]


def run_together(
    body: str, arguments: Sequence[Sequence[object]], timeout_s: float = 60
) -> list[Any]:
    """Run one function in several processes, released at the same moment.

    Args:
        body: Source that defines ``run``; it is executed after the release.
        arguments: What each process's ``run`` is given, as JSON.
        timeout_s: How long they may take.

    Returns:
        What each returned, as JSON.
    """
    running = [
        subprocess.Popen(
            _command(body, some), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for some in arguments
    ]
    try:
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = [process.communicate(timeout=timeout_s)[0] for process in running]
    finally:
        for process in running:
            process.kill()
            process.communicate()
    assert [process.returncode for process in running] == [0] * len(running)
    return [json.loads(answer) for answer in answers]


_FORK = """
import os

def run(cases):
    statuses = []
    for arguments in cases:
        child = os.fork()
        if not child:
            die(*arguments)
            os._exit(0)
        statuses.append(os.WTERMSIG(os.waitpid(child, 0)[1]))
    return statuses
"""


def killed_processes(body: str, cases: Sequence[Sequence[object]]) -> None:
    """Run a function that kills its process by SIGKILL, each case in a process of its own.

    Args:
        body: Source that defines ``die``.
        cases: What ``die`` is given, case by case, as JSON.
    """
    (statuses,) = run_together(body + _FORK, [(list(cases),)])
    assert statuses == [signal.SIGKILL] * len(cases)
