"""Further attributes of a configured PACS, asked for by C-FIND."""

from __future__ import annotations

from pathlib import Path

import pydicom

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding import instance_from_dataset
from pacs_sdk.integration.config import PacsConfig
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.services import QueryScu, StorageScu
from pacs_sdk.storage import Query


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


def test_values_of_all_kinds_come_back(tmp_path: Path) -> None:
    """Numbers binary and in text, several values, signs, names beyond ASCII, dates with times."""
    values = {
        "AcquisitionDateTime": "20240105101500.5",
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "PixelSpacing": [0.5, 0.25],
        "FrameTimeVector": [1.5, 2.5],
        "SmallestImagePixelValue": -12,
        "TableHeadTiltAngle": 1.25,
        "RecommendedDisplayFrameRateInFloat": 12.5,
        "SimpleFrameList": [1, 2, 70_000],
        "PhysiciansOfRecord": "Müller^Jörg",
        "DeviceUID": "1.2.3.4",
    }
    config = PacsConfig.from_dict(
        {
            "server": {"port": 0},
            "storage": {"data_dir": tmp_path, "further_attributes": list(values)},
        }
    ).unwrap()
    dataset = DicomDataset(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        SOPInstanceUID="1.2.3.1",
        StudyInstanceUID="1.2",
        SeriesInstanceUID="1.2.3",
        PixelRepresentation=1,
    )
    dataset.pydicom.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in values.items():
        vr = "SS" if keyword == "SmallestImagePixelValue" else DicomTag.of(keyword).dictionary_vr
        dataset.pydicom.add_new(int(DicomTag.of(keyword)), vr, value)
    identifier = pydicom.Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    identifier.StudyInstanceUID = "1.2"
    identifier.SeriesInstanceUID = "1.2.3"
    for keyword in values:
        setattr(identifier, keyword, "" if keyword == "DeviceUID" else None)
    with Pacs.configured(config) as pacs:
        StorageScu().store(pacs.peer, [instance_from_dataset(dataset).unwrap()]).unwrap()
        (found,) = QueryScu().find(pacs.peer, identifier).unwrap()
        (match,) = pacs.archive.find(Query.from_identifier(identifier).unwrap()).unwrap()
    for answer in (found.pydicom, match.dataset().pydicom):
        for keyword in values:
            assert answer[keyword].value == dataset.pydicom[keyword].value, keyword
