"""The layer contract holds, and would fail if an import were turned upward."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy the package and its contracts to where they may be spoilt."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "pacs_sdk", tmp_path / "pacs_sdk", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def _lint_imports(folder: Path) -> tuple[int, str]:
    program = Path(sys.executable).with_name("lint-imports")
    command = [str(program), "--no-cache"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout + run.stderr


def test_the_package_as_it_is_keeps_the_contracts(copy: Path) -> None:
    """Without a change every contract is kept, so the failures below are the change's."""
    status, output = _lint_imports(copy)
    assert status == 0, output
    assert "0 broken" in output


@pytest.mark.parametrize(
    ("module", "line", "named"),
    [
        pytest.param(
            "core/uids.py",
            "import pacs_sdk.encoding",
            "pacs_sdk.core.uids -> pacs_sdk.encoding",
            id="core-imports-encoding",
        ),
        pytest.param(
            "storage/objects/backend.py",
            "from pacs_sdk.network import engine",
            "pacs_sdk.storage.objects.backend -> pacs_sdk.network.engine",
            id="a-sibling-imports-its-sibling",
        ),
        pytest.param(
            "encoding/datasets/scanner.py",
            "import pacs_sdk",
            "pacs_sdk.encoding.datasets.scanner -> pacs_sdk",
            id="inside-imports-the-root",
        ),
        pytest.param(
            "encoding/datasets/scanner.py",
            "from pacs_sdk.encoding.pixel_data import frames",
            "pacs_sdk.encoding.datasets.scanner -> pacs_sdk.encoding.pixel_data",
            id="data-sets-import-pixel-data",
        ),
        pytest.param(
            "storage/archive.py",
            "import dependency_injector",
            "pacs_sdk.storage.archive -> dependency_injector",
            id="a-layer-knows-the-container",
        ),
        pytest.param(
            "network/engine.py",
            "import time",
            "pacs_sdk.network.engine -> time",
            id="the-engine-reads-a-clock",
        ),
    ],
)
@pytest.mark.slow
def test_a_forbidden_import_is_found_and_named(
    copy: Path, module: str, line: str, named: str
) -> None:
    """An import that goes up, sideways or to the root breaks a contract by name."""
    spoilt = copy / "pacs_sdk" / module
    spoilt.write_text(f"{spoilt.read_text('utf-8')}\n{line}\n", "utf-8")
    status, output = _lint_imports(copy)
    assert status == 1, output
    assert named in output.replace("\n", " ")


def test_a_new_package_needs_a_place(copy: Path) -> None:
    """A package that the contract does not place breaks it."""
    new = copy / "pacs_sdk" / "somewhere"
    new.mkdir()
    (new / "__init__.py").write_text('"""Nowhere in the layers."""\n')
    status, output = _lint_imports(copy)
    assert status == 1, output
    assert "somewhere" in output
