"""What the service tests share: archives behind a server, and made-up instances."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.uids import new_uid
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    TransferSyntax,
    instance_from_dataset,
)
from pacs_sdk.integration.pacs import Pacs

CT = "1.2.840.10008.5.1.4.1.1.2"

MakeInstance = Callable[..., Instance]


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[Pacs]:
    """Run an embedded PACS on a free port."""
    with Pacs.embedded(tmp_path / "archive", ae_title="ARCHIVE") as running:
        yield running


def made_instance(
    syntax: TransferSyntax = EXPLICIT_VR_LITTLE_ENDIAN, **elements: object
) -> Instance:
    """Make a small instance; keywords replace or add elements."""
    values = {
        "SOPClassUID": CT,
        "SOPInstanceUID": new_uid(),
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
        "PatientName": "Doe^John",
        "PatientID": "P1",
        "StudyDate": "20250131",
        "Modality": "CT",
        "InstanceNumber": 1,
        **elements,
    }
    return instance_from_dataset(DicomDataset(None, **values), syntax).unwrap()


@pytest.fixture
def make_instance() -> MakeInstance:
    """Give what makes small instances."""
    return made_instance


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pacs]:
    """Hold two patients: Doe with two studies (three instances), Müller with one."""
    pacs = Pacs.embedded(tmp_path_factory.mktemp("filled"), ae_title="ARCHIVE")
    stored: tuple[dict[str, Any], ...] = (
            {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.1.1"},
            {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.1.1"},
            {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.1", "Modality": "MR"},
            {
                "StudyInstanceUID": "2.1", "SeriesInstanceUID": "2.1.1", "PatientID": "P2",
                "PatientName": "Müller^Jörg", "SpecificCharacterSet": "ISO_IR 192",
            },
    )  # fmt: skip
    for number, elements in enumerate(stored):
        uid = f"{elements['SeriesInstanceUID']}.{number}"
        pacs.archive.store(made_instance(**elements, SOPInstanceUID=uid)).unwrap()
    with pacs:
        yield pacs
