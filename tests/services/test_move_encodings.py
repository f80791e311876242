"""In which transfer syntaxes and contexts a C-MOVE sends what is stored."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.encoding import Instance, transcode
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.integration.phantom import PhantomSpec, make_phantom
from pacs_sdk.services import RetrieveScu
from tests.services.conftest import MakeInstance
from tests.services.move_destinations import THE_STUDY, Shelf, moving

JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"


def compressed_ct() -> Instance:
    """Make a CT image in JPEG lossless."""
    phantom = make_phantom(PhantomSpec(slices=1, rows=16, columns=16)).unwrap()
    return transcode(phantom.instances[0], JPEG_LOSSLESS).unwrap()


@pytest.mark.parametrize(
    ("taken", "settings", "expected"),
    [
        ([JPEG_LOSSLESS, "1.2.840.10008.1.2"], {}, JPEG_LOSSLESS),
        (["1.2.840.10008.1.2.1"], {}, "1.2.840.10008.1.2.1"),
        (["1.2.840.10008.1.2"], {}, "1.2.840.10008.1.2"),
        (
            ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.80"],
            {"transfer_syntaxes": ["JPEGLSLossless", "ExplicitVRLittleEndian"]},
            "1.2.840.10008.1.2.4.80",
        ),
    ],
    ids=["as stored", "explicit", "implicit", "as configured"],
)
def test_what_the_destination_refuses_is_re_encoded(
    pacs: Pacs, taken: list[str], settings: dict[str, Any], expected: str
) -> None:
    """As it is stored where that is taken; otherwise re-encoded without loss."""
    instance = compressed_ct()
    with moving(pacs, Shelf(syntaxes=taken), **settings) as setting:
        setting.store(instance)
        wanted = DicomDataset(
            QueryRetrieveLevel="STUDY",
            StudyInstanceUID=instance.header().unwrap().text("StudyInstanceUID"),
        )
        report = RetrieveScu().move(setting.peer, wanted, "SHELF").unwrap()
    assert (report.completed, report.failed) == (1, 0)
    syntax, content = setting.shelf.received[instance.sop_instance_uid]
    assert syntax == expected
    came = attrs.evolve(instance, transfer_syntax_uid=syntax, encoded=MemoryBytes(content))
    assert (came.frames().unwrap() == instance.frames().unwrap()).all()


def test_more_kinds_than_one_association_has_room_for(
    pacs: Pacs, make_instance: MakeInstance
) -> None:
    """129 contexts need two associations."""
    from pacs_sdk.services import storage_sop_classes

    classes = [one.uid for one in storage_sop_classes()][:70]
    instances = [
        make_instance(SOPClassUID=uid, SeriesInstanceUID=f"1.2.3.{number}")
        for number, uid in enumerate(classes)
    ]
    with moving(pacs, Shelf(sop_classes=classes)) as setting:
        setting.store(*instances)
        report = RetrieveScu().move(setting.peer, THE_STUDY, "SHELF").unwrap()
    assert (report.completed, report.failed) == (70, 0)
    assert len(setting.shelf.ports) == 2
