"""What else changes in a data set when its Pixel Data is encoded in another way.

Attributes that need no change are not touched, so their bytes stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import attrs
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.stored_element import stored_element
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding.codecs.description import FrameDescription
from pacs_sdk.encoding.transfer_syntax import TransferSyntax

__all__ = [
    "LOSSY_SOURCES",
    "RATIO_PLACEHOLDER",
    "LossyStep",
    "describe_pixels",
    "mark_lossy",
    "mark_lossy_source",
    "ratio_text",
]

_JPEG: Final = "1.2.840.10008.1.2.4."

_METHODS: Final = {
    "50": "ISO_10918_1",
    "51": "ISO_10918_1",
    "81": "ISO_14495_1",
    "91": "ISO_15444_1",
    "203": "ISO_15444_15",
    "112": "ISO_18181_1",
}
"""Lossy Image Compression Method by the end of the transfer syntax (PS3.3 C.7.6.1.1.5.1)."""

LOSSY_SOURCES: Final = frozenset(_JPEG + end for end in ("50", "51", "111"))
"""Transfer syntaxes whose frames have always lost something: the JPEG processes with a DCT."""

RATIO_PLACEHOLDER: Final = "1234567890.12345"
"""As long as a Lossy Image Compression Ratio can be: 16 characters (PS3.5 6.2, DS)."""

_LOST: Final = b"01"
"""Lossy Image Compression: the image has been compressed with loss."""

_DERIVED: Final = b"DERIVED"
"""Value 1 of Image Type (PS3.3 C.7.6.1.1.2)."""

_LONGEST_DESCRIPTION: Final = 1024
"""Derivation Description is an ST: 1,024 characters (PS3.5 6.2), here counted as bytes."""

_LOSSY_COMPRESSION: Final = ("113040", "Lossy Compression")
"""PS3.16 CID 7203, Image Derivation."""

_UNCOMPRESSED_PREDECESSOR: Final = ("121320", "Uncompressed predecessor")
_SOURCE_FOR_PROCESSING: Final = ("121322", "Source image for image processing operation")
"""PS3.16 CID 7202, Source Image Purposes of Reference."""

_NO_LONGER_RIGHT: Final = (
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "SmallestPixelValueInSeries",
    "LargestPixelValueInSeries",
)
"""Facts about the numbers (PS3.3 C.7.6.3), all optional, that lossy compression may change."""


@attrs.frozen
class LossyStep:
    """One lossy compression."""

    source_class_uid: str
    """SOP Class UID of what was compressed."""
    source_instance_uid: str
    """Its SOP Instance UID."""
    source_syntax: TransferSyntax
    """How it was encoded."""
    syntax: TransferSyntax
    """How it is compressed."""
    sop_instance_uid: str
    """SOP Instance UID of the result."""

    @property
    def method(self) -> str:
        """Lossy Image Compression Method."""
        return _METHODS.get(self.syntax.uid.removeprefix(_JPEG), self.syntax.keyword.upper()[:16])


def describe_pixels(
    dataset: DicomDataset, before: FrameDescription, after: FrameDescription
) -> None:
    """Write what has changed of the Image Pixel Module (PS3.3 C.7.6.3), in place.

    Args:
        dataset: The data set.
        before: What its attributes say.
        after: What they have to say.
    """
    changes: dict[str, object] = {}
    if after.photometric != before.photometric:
        changes["PhotometricInterpretation"] = after.photometric
    if after.samples > 1 and (
        after.planar != before.planar or "PlanarConfiguration" not in dataset
    ):
        changes["PlanarConfiguration"] = int(after.planar)
    for keyword, old, new in (
        ("BitsAllocated", before.bits_allocated, after.bits_allocated),
        ("BitsStored", before.bits_stored, after.bits_stored),
        ("HighBit", before.high_bit, after.high_bit),
        ("PixelRepresentation", before.signed, after.signed),
    ):
        if old != new:
            changes[keyword] = int(new)
    for keyword, value in changes.items():
        dataset[keyword] = value


def mark_lossy_source(dataset: DicomDataset) -> None:
    """Set Lossy Image Compression where frames came from a process that is always lossy.

    Once they are decoded nothing else says so (PS3.3 C.7.6.1.1.5).
    """
    if _values(dataset.pydicom, "LossyImageCompression") != [_LOST]:
        _set_values(dataset.pydicom, "LossyImageCompression", [_LOST])


def ratio_text(before_bytes: int, after_bytes: int) -> str:
    """Write a compression ratio as a decimal string."""
    return f"{before_bytes / max(after_bytes, 1):.2f}"


def mark_lossy(dataset: DicomDataset, step: LossyStep, ratio: str) -> None:
    """Record a lossy compression (PS3.3 C.7.6.1.1.2, C.7.6.1.1.5, C.12.4.1), in place.

    Args:
        dataset: The data set as it was before.
        step: What was done.
        ratio: How much smaller the pixels became.
    """
    inner = dataset.pydicom
    _set_values(inner, "LossyImageCompression", [_LOST])
    for keyword, value in (
        ("LossyImageCompressionRatio", ratio),
        ("LossyImageCompressionMethod", step.method),
    ):
        _set_values(inner, keyword, [*_values(inner, keyword), value.encode()])
    _make_derived(inner)
    _describe_derivation(dataset, step, ratio)
    for keyword in _NO_LONGER_RIGHT:
        if keyword in dataset:
            del dataset[keyword]
    if step.sop_instance_uid != step.source_instance_uid:
        _append_item(dataset, "SourceImageSequence", _source_item(step))
        dataset["SOPInstanceUID"] = step.sop_instance_uid


def _make_derived(dataset: Dataset) -> None:
    _, *others = _values(dataset, "ImageType") or [b"", b"PRIMARY"]
    _set_values(dataset, "ImageType", [_DERIVED, *others])
    for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for item in dataset.get(keyword) or ():
            for group in _groups_with_frame_type(item):
                _, *others = _values(group, "FrameType") or [b""]
                _set_values(group, "FrameType", [_DERIVED, *others])


def _groups_with_frame_type(item: Dataset) -> Iterator[Dataset]:
    """Yield what gives frames their own Image Type, such as MR Image Frame Type Sequence."""
    for tag in list(item.keys()):
        element = stored_element(item, tag)
        if element.VR == "SQ":
            yield from (one for one in item[tag].value if "FrameType" in one)


def _describe_derivation(dataset: DicomDataset, step: LossyStep, ratio: str) -> None:
    words = f"Lossy compression with {step.syntax.name}, ratio {ratio}:1"
    before = b"\\".join(_values(dataset.pydicom, "DerivationDescription"))
    described = before + b"; " + words.encode() if before else words.encode()
    if len(described) <= _LONGEST_DESCRIPTION:  # the code below says it in any case
        _set_values(dataset.pydicom, "DerivationDescription", [described])
    _append_item(dataset, "DerivationCodeSequence", _code_item(*_LOSSY_COMPRESSION))


def _source_item(step: LossyStep) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = step.source_class_uid
    item.ReferencedSOPInstanceUID = step.source_instance_uid
    purpose = (
        _SOURCE_FOR_PROCESSING if step.source_syntax.encapsulated else (_UNCOMPRESSED_PREDECESSOR)
    )
    item.PurposeOfReferenceCodeSequence = [_code_item(*purpose)]
    return item


def _code_item(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = "DCM"
    item.CodeMeaning = meaning
    return item


def _append_item(dataset: DicomDataset, keyword: str, item: Dataset) -> None:
    dataset[keyword] = [*(dataset.pydicom.get(keyword) or ()), item]


def _values(dataset: Dataset, keyword: str) -> list[bytes]:
    """Return the values of a text element as they are encoded; none where it is empty.

    They may be invalid, or in a character set that is not declared: pydicom's model would
    convert them, or fail.
    """
    tag = BaseTag(DicomTag.of(keyword))
    if tag not in dataset:
        return []
    value = stored_element(dataset, tag).value
    if not isinstance(value, bytes):  # looked at already, and so converted
        value = DicomDataset(dataset).get_string(keyword).value_or("").encode()
    stripped = value.strip(b" \0")
    return [one.strip(b" ") for one in stripped.split(b"\\")] if stripped else []


def _set_values(dataset: Dataset, keyword: str, values: Sequence[bytes]) -> None:
    """Set a text element to values as they are encoded."""
    tag = BaseTag(DicomTag.of(keyword))
    value = b"\\".join(values)
    value += b" " * (len(value) % 2)
    implicit, little = dataset.original_encoding
    dataset[tag] = RawDataElement(
        tag, DicomTag(tag).dictionary_vr, len(value), value, 0, bool(implicit), little is not False
    )
