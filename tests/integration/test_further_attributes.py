"""Further attributes of a configured PACS, asked for by C-FIND."""

from __future__ import annotations

from pathlib import Path

import pydicom

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.encoding import instance_from_dataset
from pacs_sdk.integration.config import PacsConfig
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.services import QueryScu, StorageScu


def test_a_configured_attribute_is_matched_and_returned(tmp_path: Path) -> None:
    """A view that is thick enough is found, the other isn't; the answer tells the value."""
    config = PacsConfig.from_dict(
        {
            "server": {"port": 0},
            "storage": {"data_dir": tmp_path, "further_attributes": ["(0018,11A0)"]},
        }
    ).unwrap()
    views = [
        instance_from_dataset(
            DicomDataset(
                SOPClassUID="1.2.840.10008.5.1.4.1.1.1.2",
                SOPInstanceUID=f"1.2.3.{number}",
                StudyInstanceUID="1.2",
                SeriesInstanceUID="1.2.3",
                BodyPartThickness=str(40 + number),
            )
        ).unwrap()
        for number in (1, 2)
    ]
    identifier = pydicom.Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    identifier.StudyInstanceUID = "1.2"
    identifier.SeriesInstanceUID = "1.2.3"
    identifier.SOPInstanceUID = ""
    identifier.BodyPartThickness = "42"
    with Pacs.configured(config) as pacs:
        StorageScu().store(pacs.peer, views).unwrap()
        (found,) = QueryScu().find(pacs.peer, identifier).unwrap()
        assert found["SOPInstanceUID"] == "1.2.3.2"
        assert found.pydicom.BodyPartThickness == 42
