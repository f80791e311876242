"""Tests of software that sends DICOM, against a real server on a free port.

``pytest test_suite_example.py``. The fixtures come with the SDK's pytest plugin, which is active
wherever the SDK and pytest are installed.
"""

# ruff: noqa: S101  # assert is how a test speaks

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import attrs
import pydicom.data
import pytest

from pacs_sdk import Pacs, PacsConfig
from pacs_sdk.core import ErrorCode
from pacs_sdk.encoding import read_file
from pacs_sdk.network import Peer
from pacs_sdk.services import StorageScu, VerificationScu
from pacs_sdk.testing import RecordingLogger

SERIES = Path(pydicom.data.__file__).parent / "test_files/dicomdirtests/98892001/CT5N"


# The first lines: a real server, and what it logged.
def test_my_sender_reaches_the_archive(
    pacs_server: Pacs, recording_logger: RecordingLogger
) -> None:
    """The archive answers, and saw who called."""
    VerificationScu(ae_title="MY_SENDER").echo(pacs_server.peer).unwrap()
    recording_logger.wait_for("association-released", calling_ae_title="MY_SENDER")


def send(folder: Path, peer: Peer) -> int:
    """Stand for the software under test: it sends a folder."""
    instances = [read_file(path).unwrap() for path in sorted(folder.iterdir())]
    return StorageScu(ae_title="MY_SENDER").store(peer, instances).unwrap().stored


def test_everything_arrives_unchanged(pacs_server: Pacs) -> None:
    """What the archive has is, byte for byte, what was sent."""
    assert send(SERIES, pacs_server.peer) == 5
    for path in SERIES.iterdir():
        sent = read_file(path).unwrap()
        kept = pacs_server.archive.open(sent.sop_instance_uid).unwrap()
        assert bytes(kept.encoded.view()) == bytes(sent.encoded.view())


class TestAStrictArchive:
    """How the software meets an archive that knows its name and its clients."""

    @pytest.fixture
    def pacs_config(self, pacs_config: PacsConfig) -> PacsConfig:
        """Change how ``pacs_server`` is configured, for the tests of this class."""
        strict = attrs.evolve(pacs_config.server, ae_title="ARCHIVE", require_called_ae_title=True)
        return attrs.evolve(pacs_config, server=strict)

    def test_a_wrong_name_is_refused(
        self, pacs_server: Pacs, recording_logger: RecordingLogger
    ) -> None:
        """A wrong called AE title is an error in words, on both sides."""
        wrong = attrs.evolve(pacs_server.peer, ae_title="ARCHIV")
        error = VerificationScu().echo(wrong).failure()
        assert error.code is ErrorCode.ASSOCIATION_REJECTED
        assert recording_logger.wait_for("association-rejected").level == "warning"


if __name__ == "__main__":
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    raise SystemExit(subprocess.call(command))
