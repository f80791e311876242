"""Power failures on a real ext4: what was acknowledged is there, what was deleted is not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.storage.power_failures import CANNOT_MOUNT
from tests.storage.processes import ROOT

_ROUNDS = 4


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_with_the_power(tmp_path: Path) -> None:
    """Two processes with three threads each, small and large objects, deletions among them."""
    programs = [shutil.which(name) for name in ("unshare", "mkfs.ext4")]
    if sys.platform != "linux" or os.geteuid() or not all(programs):
        pytest.skip("an image is mounted: this needs Linux, root, unshare and mkfs.ext4")
    done = subprocess.run(
        [
            *(str(programs[0]), "--mount", sys.executable, "-m", "tests.storage.power_failures"),
            *(str(tmp_path), str(_ROUNDS)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == CANNOT_MOUNT or "unshare failed" in done.stderr:
        pytest.skip("nobody may mount an image here")
    assert done.returncode == 0, done.stderr
    rounds = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rounds) == _ROUNDS
    for one in rounds:
        assert one["acknowledged"] > 0
        for trouble in ("wrong", "not_found", "back", "not_indexed", "without_object"):
            assert one[trouble] == []
    assert any(one["restored"] for one in rounds)
    assert any(one["deleted"] for one in rounds)
