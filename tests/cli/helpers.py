"""What the tests of ``pacs`` share: running it, in this process and as a program."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs
import pydicom
import pydicom.data
import pytest
from typer.testing import CliRunner, Result

from pacs_sdk.cli.app import app
from pacs_sdk.network import Peer

TEST_FILES = Path(pydicom.data.__file__).parent / "test_files"

SERIES = TEST_FILES / "dicomdirtests/98892001/CT5N"
"""Five CT slices, Explicit VR Little Endian, of one series of Doe^Peter."""

PROGRAM = (sys.executable, "-m", "pacs_sdk.cli.main")

DEADLINE_S = 60
"""Longer than any of this takes; only a hang meets it."""


PLAIN: Mapping[str, str | None] = {
    "COLUMNS": "100",
    "FORCE_COLOR": None,
    "GITHUB_ACTIONS": None,
    "NO_COLOR": "1",
}
"""No colours and one width, whatever the surroundings of the test run ask for."""


def pacs(*arguments: object) -> Result:
    """Run a command in this process; its output is no terminal."""
    return CliRunner().invoke(app, [str(one) for one in arguments], env=PLAIN)


def succeeded(result: Result) -> str:
    """Return what a command printed, once it is known to have succeeded."""
    assert result.exit_code == 0, f"{result.stderr}{result.stdout}{result.exception!r}"
    return result.stdout


def failed(result: Result) -> str:
    """Return the one line that a command that failed wrote to stderr."""
    assert result.exit_code == 1, f"{result.stderr}{result.stdout}{result.exception!r}"
    (line,) = result.stderr.splitlines()
    assert line.startswith("pacs: ")
    assert "unexpected" not in line
    return line


def refused(result: Result) -> str:
    """Return what a command with bad usage wrote to stderr, lines and box joined."""
    assert result.exit_code == 2, f"{result.stderr}{result.stdout}{result.exception!r}"
    assert "Traceback" not in result.stderr
    return " ".join(result.stderr.replace("│", " ").split())


def address(peer: Peer) -> tuple[str, str]:
    """Give the two arguments that every client command takes."""
    return peer.host, str(peer.port)


def _environment(added: Mapping[str, str] | None) -> dict[str, str]:
    both: dict[str, str | None] = {**os.environ, **PLAIN, **(added or {})}
    return {name: value for name, value in both.items() if value is not None}


def run_program(
    *arguments: object, environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
        env=_environment(environment),
        cwd=cwd,
    )


@attrs.frozen
class Serving:
    """A ``pacs serve`` process that is ready."""

    process: subprocess.Popen[str]
    """The process; stdout and stderr are pipes."""
    peer: Peer
    """How a client addresses it."""

    def stopped(self) -> str:
        """Wait for a clean end; return what it wrote to stderr."""
        _, log = self.process.communicate(timeout=DEADLINE_S)
        assert self.process.returncode == 0, log
        assert "Traceback" not in log
        return log


@contextmanager
def serving(
    *options: object, environment: Mapping[str, str] | None = None, ae_title: str = "PACS_SCP"
) -> Iterator[Serving]:
    """Run ``pacs serve`` until the block ends."""
    with subprocess.Popen(
        [*PROGRAM, "serve", *map(str, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(environment),
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("READY dicom="):
                pytest.fail(f"not ready: {line!r}\n{process.communicate(timeout=DEADLINE_S)[1]}")
            assert line.endswith(" http=-\n")
            host, _, port = line.split()[1].removeprefix("dicom=").rpartition(":")
            yield Serving(process, Peer(host, int(port), ae_title))
        finally:
            process.kill()


def values_by_uid(folder: Path) -> dict[str, pydicom.Dataset]:
    """Read every file of a folder and those in it: SOP Instance UID -> data set."""
    read = [pydicom.dcmread(path) for path in folder.rglob("*") if path.is_file()]
    return {str(dataset.SOPInstanceUID): dataset for dataset in read}
