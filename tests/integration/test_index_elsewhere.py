"""A whole PACS whose index is where its configuration says."""

from __future__ import annotations

from pathlib import Path

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.uids import new_uid
from pacs_sdk.encoding import instance_from_dataset
from pacs_sdk.integration.config import PacsConfig
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.services import StorageScu


def config(folder: Path, url: str) -> PacsConfig:
    """Configure a PACS on a free port."""
    storage = {"data_dir": folder, "database_url": url}
    return PacsConfig.from_dict({"server": {"port": 0}, "storage": storage}).unwrap()


def test_a_pacs_takes_the_index_of_its_configuration(tmp_path: Path) -> None:
    """What is sent to it is found in the database that the URL names."""
    sent = instance_from_dataset(
        DicomDataset(
            SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
            SOPInstanceUID=new_uid(),
            StudyInstanceUID="1.2.3",
            SeriesInstanceUID="1.2.3.4",
            PatientID="P1",
        )
    ).unwrap()
    with Pacs.configured(config(tmp_path / "pacs", f"sqlite:///{tmp_path}/other.sqlite")) as pacs:
        StorageScu().store(pacs.peer, [sent]).unwrap()
        assert pacs.archive.statistics().unwrap().instances == 1
    assert (tmp_path / "other.sqlite").exists()
    assert not (tmp_path / "pacs/index.sqlite").exists()


def test_a_pacs_that_cannot_reach_its_index_does_not_start(tmp_path: Path) -> None:
    """It says which database, and not the password."""
    url = "postgresql://pacs:hunter2@127.0.0.1:1/index"
    started = Pacs.configured(config(tmp_path, url)).start()
    error = started.failure()
    assert error.code is ErrorCode.INDEX_FAILED
    assert "index at 127.0.0.1:1" in error.message
    assert "hunter2" not in repr(error)
