"""Every script of ``examples/`` runs, offline, and says what it should."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # each starts a process

EXAMPLES = Path(__file__).parents[1] / "examples"

EXPECTED = {
    "list_series.py": ("CT     5 images  SmartScore",),
    "embed_scp.py": (
        "WARD performs ",
        "everybody: Phantom^Anna, Phantom^Bert",
        "P2: Phantom^Bert",
        "stored: 2",
    ),
    "nightly_pull.py": (
        "16302.0.6: 5 images",
        "16302.0.6: is here already",
    ),
    "query.py": ("Doe^Peter", "SmartScore - Gated 0.5 sec 5", "picture: query.png"),
    "researcher.py": (
        "Slice order",
        "image: (16, 16, 5) voxels",
        "picture: series.png",
        "without one slice: ",
    ),
    "swap_storage_and_logger.py": ("2 passed",),
    "test_suite_example.py": ("3 passed",),
    "vendor.py": (
        "MY_DEVICE listens on port ",
        "0124H  this device takes CT images only",
        "received 5 images: SmartScore",
    ),
}
"""What each script prints, besides other things."""


def test_every_example_is_tested() -> None:
    """A script without an expectation here would only be seen not to crash."""
    assert {path.name for path in EXAMPLES.glob("*.py")} == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_example_runs(name: str, tmp_path: Path) -> None:
    """The script ends with exit code 0, without a warning, and prints what is expected."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    plain = re.sub(r" +", " ", done.stdout)
    for words in EXPECTED[name]:
        assert re.sub(r" +", " ", words) in plain, done.stdout
