"""The frames of enhanced multi-frame images, each with its own functional groups.

What a frame's group says wins over what the shared groups say, and these over the top level
(PS3.3 C.7.6.16): a slope that some writers repeat at the top level is not the frame's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs
from pydicom.dataset import Dataset

from pacs_sdk.core.element import VALUE_ERRORS
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.integration.itk.image_slice import ImageSlice, SliceReader, not_loadable
from pacs_sdk.integration.itk.sources import FoundObject

__all__ = ["frame_slices", "is_multiframe"]

_FRAMES: Final = int(DicomTag.of("NumberOfFrames"))

_POSITION: Final = int(DicomTag.of("ImagePositionPatient"))

_GEOMETRY: Final = (
    ("PlanePositionSequence", "ImagePositionPatient"),
    ("PlaneOrientationSequence", "ImageOrientationPatient"),
    ("PixelMeasuresSequence", "PixelSpacing"),
    ("PixelMeasuresSequence", "SliceThickness"),
    ("PixelMeasuresSequence", "SpacingBetweenSlices"),
    ("PixelValueTransformationSequence", "RescaleSlope"),
    ("PixelValueTransformationSequence", "RescaleIntercept"),
    ("PixelValueTransformationSequence", "RescaleType"),
)
"""Attributes that a single-frame image has at its top level, all of them text."""

_MAPPING: Final = "RealWorldValueMappingSequence"

_UTC_OFFSET: Final = re.compile(r"[+-]\d{4}\s*$")
"""What a DT may end with (PS3.5 6.2)."""

_TOLD_APART_BY: Final = (
    ("MREchoSequence", "EffectiveEchoTime", "EchoTime"),
    ("MRDiffusionSequence", "DiffusionBValue", "DiffusionBValue"),
    ("MRModifierSequence", "InversionTimes", "InversionTime"),
    ("MRTimingAndRelatedParametersSequence", "FlipAngle", "FlipAngle"),
    ("MRTimingAndRelatedParametersSequence", "RepetitionTime", "RepetitionTime"),
    ("MRImageFrameTypeSequence", "ComplexImageComponent", "ComplexImageComponent"),
    ("CTXRayDetailsSequence", "KVP", "KVP"),
    ("FrameContentSequence", "StackID", "StackID"),
    ("FrameContentSequence", "TemporalPositionIndex", "TemporalPositionIdentifier"),
    ("FrameContentSequence", "FrameAcquisitionNumber", "AcquisitionNumber"),
    (
        "CardiacSynchronizationSequence",
        "NominalCardiacTriggerDelayTime",
        "TriggerTime",
    ),
)
"""Attributes of frames, and the single-frame attribute that says the same."""

_CONVERTED: Final = "UnassignedPerFrameConvertedAttributesSequence"
"""What a legacy converted image has kept of single-frame ones (PS3.3 A.70 to A.72)."""
_KEPT: Final = (
    "EchoTime",
    "EchoNumbers",
    "InversionTime",
    "FlipAngle",
    "RepetitionTime",
    "KVP",
    "DiffusionBValue",
    "DiffusionGradientOrientation",
    "TemporalPositionIdentifier",
    "TriggerTime",
    "FrameReferenceTime",
    "AcquisitionNumber",
    "AcquisitionDate",
    "AcquisitionTime",
    "ContentDate",
    "ContentTime",
)

_FRAME_TYPES: Final = (
    "CTImageFrameTypeSequence",
    "MRImageFrameTypeSequence",
    "PETFrameTypeSequence",
)


def is_multiframe(found: FoundObject) -> bool:
    """Tell whether an image says of each frame where it lies, or has several frames."""
    frames = found.header.integer(_FRAMES)
    return frames is not None and (frames > 1 or _POSITION not in found.header.raw)


def frame_slices(found: FoundObject, reader: SliceReader) -> list[ImageSlice]:
    """Make a slice of each frame.

    Raises:
        PacsException: ``SERIES_NOT_LOADABLE`` naming the attribute: there are no functional
            groups, or not as many as frames; or as :meth:`SliceReader.slice_of`.
    """
    dataset = raised(found.instance.dataset(until="PixelData")).pydicom
    frames = found.header.integer(_FRAMES) or 1
    try:
        return _frame_slices(found, reader, dataset, frames)
    except tuple(VALUE_ERRORS) as exc:
        raise PacsException(
            ErrorCode.SERIES_NOT_LOADABLE,
            f"{found.name}: its functional groups cannot be read: {exc}",
            path=found.name,
        ) from None


def _frame_slices(
    found: FoundObject, reader: SliceReader, dataset: Dataset, frames: int
) -> list[ImageSlice]:
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence")
    if not per_frame and frames == 1:  # a single-frame image, which lacks its position
        return [reader.slice_of(found)]
    if not per_frame:
        raise not_loadable(
            found.name,
            "NumberOfFrames",
            f"is {frames}; only frames with functional groups have a place in a volume "
            "(dataset_to_volumes of pacs_sdk.integration.modality gives others as a loop)",
        )
    if len(per_frame) != frames:
        raise not_loadable(
            found.name,
            "PerFrameFunctionalGroupsSequence",
            f"has {len(per_frame)} items, NumberOfFrames is {frames}",
        )
    shared = next(iter(dataset.get("SharedFunctionalGroupsSequence") or ()), Dataset())
    slices = []
    for index, own in enumerate(per_frame):
        groups = _Groups(own, shared)
        raw = {**found.header.raw, **dict(_geometry(groups))}
        frame = attrs.evolve(found, header=attrs.evolve(found.header, raw=raw))
        try:
            one = reader.slice_of(frame)
        except PacsException as exc:
            raise _of_frame(exc, found, index) from None
        slices.append(attrs.evolve(one, frame=index, attributes=_attributes(groups)))
    return slices


@attrs.define
class _Groups:
    """The functional groups of a frame: its own, then those that all share."""

    own: Dataset
    shared: Dataset
    _items: dict[str, Dataset | None] = attrs.field(factory=dict, init=False)

    def item(self, macro: str) -> Dataset | None:
        """Return the item of a macro, which is looked up once."""
        if macro not in self._items:
            found = next(iter(self.own.get(macro) or self.shared.get(macro) or ()), None)
            self._items[macro] = found if isinstance(found, Dataset) else None
        return self._items[macro]

    def value(self, macro: str, keyword: str) -> Any:
        """Return the value of an attribute of a macro, ``None`` where there is none."""
        item = self.item(macro)
        return None if item is None else item.get(keyword)


def _geometry(groups: _Groups) -> Iterator[tuple[int, bytes]]:
    """Yield what replaces attributes of the top level, encoded as there."""
    for macro, keyword in _GEOMETRY:
        value = groups.value(macro, keyword)
        if value is not None:
            yield int(DicomTag.of(keyword)), _text(value).encode("ascii", "replace")
    if groups.item(_MAPPING) is not None:  # which is a macro of its own
        yield int(DicomTag.of(_MAPPING)), b""


def _attributes(groups: _Groups) -> Mapping[str, str]:
    found = {}
    for macro, keyword, name in _TOLD_APART_BY:
        value = groups.value(macro, keyword)
        if value is not None:
            found[name] = _text(value)
    acquired = groups.value("FrameContentSequence", "FrameAcquisitionDateTime")
    if acquired is not None:
        local = _UTC_OFFSET.sub("", _text(acquired))  # as a TM, that of the scanner
        found["AcquisitionDate"], found["AcquisitionTime"] = local[:8], local[8:]
    for macro in _FRAME_TYPES:
        frame_type = groups.value(macro, "FrameType")
        if frame_type is not None:
            found["ImageType"] = _text(frame_type)
    for direction in groups.value("MRDiffusionSequence", _DIRECTIONS) or ():
        if direction.get("DiffusionGradientOrientation") is not None:
            found["DiffusionGradientOrientation"] = _text(direction.DiffusionGradientOrientation)
    kept = groups.item(_CONVERTED)
    if kept is not None:
        for keyword in _KEPT:
            if kept.get(keyword) is not None:
                found.setdefault(keyword, _text(kept.get(keyword)))
    return found


_DIRECTIONS: Final = "DiffusionGradientDirectionSequence"


def _text(value: Any) -> str:
    """Write a value as the text of an element."""
    if isinstance(value, str | bytes):
        return str(value)
    try:
        return "\\".join(str(part) for part in value)
    except TypeError:
        return str(value)


def _of_frame(exc: PacsException, found: FoundObject, index: int) -> PacsException:
    error = exc.error
    words = error.message.removeprefix(f"{found.name}: ")
    return PacsException(
        error.code, f"{found.name}: frame {index}: {words}", **error.details | {"frame": index}
    )
