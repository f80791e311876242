"""Attributes that are absent, and those that cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding.rendering.attributes import (
    element,
    functional_group,
    items,
    number,
    numbers,
    text,
    texts,
    whole,
)
from tests.encoding.rendering.images import items as item_of


@pytest.mark.parametrize("value", ["absent", None, ""])
def test_nothing(value: str | None) -> None:
    """An attribute that is absent and one that is empty are the same."""
    dataset = DicomDataset()
    if value != "absent":
        dataset["WindowCenter"] = dataset["WindowCenterWidthExplanation"] = value
    assert numbers(dataset, "WindowCenter") == ()
    assert number(dataset, "WindowCenter") is None
    assert whole(dataset, "WindowCenter") is None
    assert texts(dataset, "WindowCenterWidthExplanation") == ()
    assert text(dataset, "WindowCenterWidthExplanation") == ""
    assert items(dataset, "VOILUTSequence") == ()


@pytest.mark.parametrize("read", [numbers, number, whole, text])
def test_a_sequence_is_no_value(read: Callable[[DicomDataset, Any], object]) -> None:
    """An attribute under a VR of another kind is a failure that names its tag."""
    dataset = Dataset()
    dataset.add_new("WindowCenter", "SQ", [Dataset()])
    with pytest.raises(PacsException, match="WindowCenter") as caught:
        read(DicomDataset(dataset), "WindowCenter")
    assert caught.value.error.code is ErrorCode.VALUE_CONVERSION_FAILED


def test_a_number_that_is_not_whole() -> None:
    """Infinity has no whole number; a fraction is cut."""
    dataset = Dataset()
    dataset.add_new("Rows", "FD", float("inf"))
    with pytest.raises(PacsException, match="no whole number"):
        whole(DicomDataset(dataset), "Rows")
    dataset.add_new("Rows", "FD", 2.75)
    assert whole(DicomDataset(dataset), "Rows") == 2


def test_a_value_that_cannot_be_decoded() -> None:
    """What pydicom cannot convert is a failure, not an exception of its own."""
    tag = Tag("Rows")
    raw = RawDataElement(tag, "US", 3, b"\1\2\3", 0, False, True)
    with pytest.raises(PacsException, match="Rows cannot be read") as caught:
        element(DicomDataset(Dataset({tag: raw})), "Rows")
    assert caught.value.error.code is ErrorCode.VALUE_CONVERSION_FAILED


def test_functional_groups() -> None:
    """The frame's own group comes first, then the shared one, then nothing."""
    dataset = Dataset()
    own, other = Dataset(), Dataset()
    own.PixelMeasuresSequence = item_of(SliceThickness=1)
    dataset.PerFrameFunctionalGroupsSequence = Sequence([own, other])
    found = functional_group(DicomDataset(dataset), 0, "PixelMeasuresSequence")
    assert found is not None
    assert found["SliceThickness"] == 1
    assert functional_group(DicomDataset(dataset), 1, "PixelMeasuresSequence") is None
    shared = item_of(PixelMeasuresSequence=item_of(SliceThickness=2))
    dataset.SharedFunctionalGroupsSequence = shared
    for frame in (1, 2):  # also one that has no group
        found = functional_group(DicomDataset(dataset), frame, "PixelMeasuresSequence")
        assert found is not None
        assert found["SliceThickness"] == 2
    own.PixelMeasuresSequence = Sequence()  # empty, as if it weren't there
    found = functional_group(DicomDataset(dataset), 0, "PixelMeasuresSequence")
    assert found is not None


def test_functional_groups_that_are_no_sequence() -> None:
    """Bytes where items should be are a failure."""
    dataset = Dataset()
    dataset.add_new("SharedFunctionalGroupsSequence", "OB", b"\0\0")
    with pytest.raises(PacsException, match="it is no sequence"):
        functional_group(DicomDataset(dataset), 0, "PixelMeasuresSequence")
