"""The VR of an attribute where the dictionary alone cannot tell."""

from __future__ import annotations

import attrs
import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from pacs_sdk.core.automatic_vr import resolve_vr
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.vr import VR


@attrs.frozen
class Form:
    """What of a transfer syntax matters here."""

    explicit_vr: bool = True
    encapsulated: bool = False


EXPLICIT = Form()
IMPLICIT = Form(explicit_vr=False)
ENCAPSULATED = Form(encapsulated=True)


def resolved(tag: int | str, form: Form = EXPLICIT, **values: object) -> VR:
    """Resolve in a data set of these values."""
    return resolve_vr(tag, DicomDataset(None, **values), form).unwrap()


@pytest.mark.parametrize(
    ("tag", "vr"),
    [
        ("PatientName", VR.PN),
        ("RelatedSeriesSequence", VR.SQ),
        (0x00280000, VR.UL),  # group length
        (0x00090000, VR.UL),  # of a private group too
        (0x00090010, VR.LO),  # private creator
        (0x00091001, VR.UN),  # private, its creator absent
        (0x00280FFE, VR.UN),  # not in the dictionary
        (0x60020010, VR.US),  # Overlay Rows of the second overlay
    ],
)
def test_dictionary(tag: int | str, vr: VR) -> None:
    """Where the dictionaries know one VR, it is that; and UN where they know none."""
    assert resolved(tag) is vr


def test_private_dictionary() -> None:
    """A private attribute is looked up under its creator."""
    dataset = Dataset()
    dataset.add_new(0x00290010, "LO", "SIEMENS CSA HEADER")
    assert resolve_vr(0x00291008, dataset, EXPLICIT).unwrap() is VR.CS
    assert resolve_vr(0x00291108, dataset, EXPLICIT).unwrap() is VR.UN


@pytest.mark.parametrize(
    "keyword",
    [
        "SmallestImagePixelValue",
        "PixelPaddingValue",
        "RedPaletteColorLookupTableDescriptor",
        "LUTDescriptor",
        "RealWorldValueFirstValueMapped",
        "ZeroVelocityPixelValue",
    ],
)
def test_us_or_ss(keyword: str) -> None:
    """Signed where Pixel Representation says so, in whatever syntax."""
    for form in (EXPLICIT, IMPLICIT, ENCAPSULATED):
        assert resolved(keyword, form, PixelRepresentation=1) is VR.SS
        assert resolved(keyword, form, PixelRepresentation=0) is VR.US
        assert resolved(keyword, form) is VR.US


def test_us_or_ss_in_an_item() -> None:
    """The nearest data set that has Pixel Representation decides."""
    item, middle = DicomDataset(), DicomDataset(PixelRepresentation=0)
    top = DicomDataset(PixelRepresentation=1)
    assert resolve_vr("LUTDescriptor", item, EXPLICIT, (top,)).unwrap() is VR.SS
    assert resolve_vr("LUTDescriptor", item, EXPLICIT, (middle, top)).unwrap() is VR.US
    assert resolve_vr("LUTDescriptor", top, EXPLICIT, (middle,)).unwrap() is VR.SS


@pytest.mark.parametrize(
    ("bits", "form", "vr"),
    [
        (1, EXPLICIT, VR.OB),
        (8, EXPLICIT, VR.OB),
        (16, EXPLICIT, VR.OW),
        (32, EXPLICIT, VR.OW),
        (None, EXPLICIT, VR.OW),
        (8, IMPLICIT, VR.OW),  # PS3.5 A.1
        (16, ENCAPSULATED, VR.OB),  # PS3.5 A.4
    ],
)
def test_pixel_data(bits: int | None, form: Form, vr: VR) -> None:
    """Pixel Data by syntax and Bits Allocated (PS3.5 A.1, A.2, A.4)."""
    values = {} if bits is None else {"BitsAllocated": bits}
    assert resolved("PixelData", form, **values) is vr


@pytest.mark.parametrize("keyword", ["WaveformData", "ChannelMinimumValue", "WaveformPaddingValue"])
def test_waveforms(keyword: str) -> None:
    """Waveforms by Waveform Bits Allocated, not by that of pixels; OW in Implicit VR."""
    assert resolved(keyword, WaveformBitsAllocated=8, BitsAllocated=16) is VR.OB
    assert resolved(keyword, WaveformBitsAllocated=16, BitsAllocated=8) is VR.OW
    assert resolved(keyword, IMPLICIT, WaveformBitsAllocated=8) is VR.OW
    assert resolved(keyword, ENCAPSULATED, WaveformBitsAllocated=16) is VR.OW


def test_overlays() -> None:
    """Overlay Data is OW in every syntax, whatever the pixels are (PS3.5 8.1.2)."""
    for form in (EXPLICIT, IMPLICIT, ENCAPSULATED):
        assert resolved(0x60003000, form, BitsAllocated=8) is VR.OW
        assert resolved(0x60023000, form, BitsAllocated=8) is VR.OW


def test_lookup_tables() -> None:
    """A table of one entry is a number, any other words; palettes are words."""
    dataset = Dataset()
    dataset.add_new("LUTDescriptor", "US", [256, 0, 16])
    assert resolve_vr("LUTData", dataset, EXPLICIT).unwrap() is VR.OW
    dataset.add_new("LUTDescriptor", "US", [1, 0, 16])
    assert resolve_vr("LUTData", dataset, EXPLICIT).unwrap() is VR.US
    assert resolved("LUTData") is VR.OW
    assert resolved("GrayLookupTableData") is VR.OW
    assert resolved("RedPaletteColorLookupTableData") is VR.OW


def test_damaged_neighbour() -> None:
    """A Pixel Representation that can't be read counts as absent."""
    dataset = Dataset()
    tag = Tag(0x00280103)
    dataset[tag] = RawDataElement(tag, "US", 3, b"\1\0\0", 0, False, True)
    assert resolve_vr("PixelPaddingValue", dataset, EXPLICIT).unwrap() is VR.US


def test_failures() -> None:
    """What names no tag, and delimiters, have no VR."""
    assert resolve_vr("Nothing", Dataset(), EXPLICIT).failure().code is ErrorCode.INVALID_TAG
    assert resolve_vr(0xFFFEE000, Dataset(), EXPLICIT).failure().code is ErrorCode.INVALID_VR
