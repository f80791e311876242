"""Collects the examples of README and the documentation as tests.

``pytest README.md docs`` runs every Python block of those pages, each page in a
scratch folder of its own, where ``ct/`` holds a small CT series that ships inside
pydicom. A block of doctests is checked against its output; a block that defines
``test_…`` functions is run by pytest, with the SDK's fixtures.
"""

from __future__ import annotations

import contextlib
import doctest
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pydicom.data
from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

_CT_SERIES = Path(pydicom.data.__file__).parent / "test_files/dicomdirtests/98892001/CT5N"
"""Five axial CT slices, 2.5 mm apart."""

_run_python = PythonEvaluator()


def _evaluate(example: Example) -> None:
    source = str(example.parsed)
    if re.search(r"^def test_", source, re.MULTILINE) is None:
        _run_python(example)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "test_example.py")
        path.write_text(source, "utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "--rootdir", folder, str(path)]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise AssertionError(run.stdout + run.stderr)


def _enter_scratch_folder(namespace: dict[str, Any]) -> None:
    stack = contextlib.ExitStack()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    shutil.copytree(_CT_SERIES, folder / "ct")
    stack.enter_context(contextlib.chdir(folder))
    namespace["__scratch__"] = stack


def _leave_scratch_folder(namespace: dict[str, Any]) -> None:
    namespace["__scratch__"].close()


_python = PythonCodeBlockParser(doctest_optionflags=doctest.ELLIPSIS)
_python.codeblock_parser = CodeBlockParser("python", _evaluate)

pytest_collect_file = Sybil(
    parsers=[_python, SkipParser()],
    patterns=["*.md"],
    excludes=["_build/*"],
    setup=_enter_scratch_folder,
    teardown=_leave_scratch_folder,
).pytest()
