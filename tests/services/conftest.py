"""What the service tests share: an archive behind a server, and made-up instances."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

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
