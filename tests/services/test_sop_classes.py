"""The SOP class registry against the standard's list and the feature document's."""

from __future__ import annotations

import pytest
from pydicom._uid_dict import UID_dictionary

from pacs_sdk.services import sop_class_name, sop_classes_by_use, storage_sop_classes
from pacs_sdk.services.sop_classes import _COMMON_FIRST

# The storage table of the feature document.
FEATURE_DOCUMENT = """
2 4 1 1.1 7 6.1 6.2 12.1 12.1.1 12.2 13.1.1 13.1.2 20 5 128 130 128.1 481.5 481.2 481.3 481.1
481.4 481.6 481.7 481.8 481.9 66.4 66.5 88.11 88.22 88.33 88.34 88.35 88.59 88.50 88.65 88.69 88.67
"""


@pytest.mark.parametrize("suffix", FEATURE_DOCUMENT.split())
def test_every_storage_class_of_the_feature_document_is_there(suffix: str) -> None:
    """Each storage SOP class the feature document lists is served."""
    assert f"1.2.840.10008.5.1.4.1.1.{suffix}" in {c.uid for c in storage_sop_classes()}


def test_only_storage_of_patient_objects_is_listed() -> None:
    """No query model, no commitment, no DICOMDIR, no hanging protocol."""
    served = {c.uid for c in storage_sop_classes()}
    assert "1.2.840.10008.1.20.1" not in served  # Storage Commitment
    assert "1.2.840.10008.1.3.10" not in served  # Media Storage Directory
    assert "1.2.840.10008.5.1.4.38.1" not in served  # Hanging Protocol
    assert "1.2.840.10008.5.1.4.1.1.201.2" not in served  # Inventory FIND
    assert all(UID_dictionary[uid][1] == "SOP Class" for uid in served)
    assert len(served) > 150


def test_names_are_the_standards() -> None:
    """A known UID has its name, an unknown one stands for itself."""
    assert sop_class_name("1.2.840.10008.5.1.4.1.1.2") == "CT Image Storage"
    assert sop_class_name("1.2.3") == "1.2.3"


def test_common_classes_come_first() -> None:
    """What fits into one association has images, reports, waveforms and radiotherapy."""
    ranked = [sop_class.uid for sop_class in sop_classes_by_use()]
    assert set(ranked) == {c.uid for c in storage_sop_classes() if not c.is_retired}
    assert ranked[0] == "1.2.840.10008.5.1.4.1.1.2"
    for suffix in ("88.33", "481.3", "9.1.1", "104.1", "66.4"):  # SR, RTSTRUCT, ECG, PDF, SEG
        assert f"1.2.840.10008.5.1.4.1.1.{suffix}" in ranked[:60]


def test_every_common_class_is_one() -> None:
    """No keyword of the ranking is misspelt: the common ones are all at the front."""
    known = {UID_dictionary[c.uid][4] for c in storage_sop_classes()}
    assert set(_COMMON_FIRST) <= known
