"""The header of an instance: a few attributes, without a data set being built."""

from __future__ import annotations

import functools
import struct
from collections.abc import Mapping
from typing import Final

import attrs

from pacs_sdk.core.tags import SPECIFIC_CHARACTER_SET, DicomTag, TagLike
from pacs_sdk.core.vr import VR, Repertoire, VrKind
from pacs_sdk.encoding.charsets import (
    DEFAULT_POLICY,
    CharacterSetPolicy,
    decode_text,
    effective_character_sets,
)

__all__ = ["INDEX_TAGS", "InstanceHeader"]

_PIXEL_REPRESENTATION: Final = 0x00280103

INDEX_TAGS: Final[frozenset[int]] = frozenset(
    int(DicomTag.of(keyword))
    for keyword in (
        "SpecificCharacterSet",
        "SOPClassUID",
        "SOPInstanceUID",
        "StudyDate",
        "SeriesDate",
        "ContentDate",
        "StudyTime",
        "SeriesTime",
        "ContentTime",
        "AccessionNumber",
        "Modality",
        "Manufacturer",
        "InstitutionName",
        "ReferringPhysicianName",
        "TimezoneOffsetFromUTC",
        "StationName",
        "StudyDescription",
        "SeriesDescription",
        "ManufacturerModelName",
        "PatientName",
        "PatientID",
        "IssuerOfPatientID",
        "PatientBirthDate",
        "PatientSex",
        "BodyPartExamined",
        "ProtocolName",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "StudyID",
        "SeriesNumber",
        "InstanceNumber",
        "NumberOfFrames",
        "Rows",
        "Columns",
        "BitsAllocated",
        "PerformedProcedureStepStartDate",
        "PerformedProcedureStepStartTime",
        "PatientBirthTime",
        "OtherPatientIDs",
        "OtherPatientNames",
        "EthnicGroup",
        "PatientComments",
        "NameOfPhysiciansReadingStudy",
        "AdmittingDiagnosesDescription",
        "PatientAge",
        "PatientSize",
        "PatientWeight",
        "Occupation",
        "AdditionalPatientHistory",
        "PerformedProcedureStepID",
        "PerformedProcedureStepDescription",
        "PerformingPhysicianName",
        "OperatorsName",
        "Laterality",
        "FrameOfReferenceUID",
        "InstitutionalDepartmentName",
        "DeviceSerialNumber",
        "RequestAttributesSequence",
    )
)
"""The attributes an index keeps of every instance."""

_CHARSET_VRS: Final = frozenset(vr for vr in VR if vr.rule.repertoire is Repertoire.EXTENDED)
"""VRs that Specific Character Set applies to (PS3.5 6.1.2.2)."""

_SINGLE_TEXT: Final = frozenset(vr for vr in VR if vr.kind is VrKind.TEXT and not vr.rule.multiple)
"""A backslash is a character here, and leading spaces count (PS3.5 6.2)."""

_NUMBER_FORMATS: Final = {vr: vr.rule.number_format for vr in VR if vr.rule.number_format}


@functools.lru_cache(maxsize=4096)
def _vr_of(tag: int) -> VR:
    """Return the dictionary's VR; of several (``US or SS``) the first."""
    return VR(DicomTag(tag).dictionary_vr[:2])


@functools.lru_cache(maxsize=4096)
def _is_stripped_text(tag: int) -> bool:
    """Whether a value is text whose padding goes on both sides, as most index attributes."""
    vr = _vr_of(tag)
    return vr.kind is VrKind.TEXT and vr not in _SINGLE_TEXT


@attrs.frozen
class InstanceHeader:
    """Some attributes of an instance, undecoded; methods decode the one asked for."""

    raw: Mapping[int, bytes] = attrs.field(hash=False)
    """The value bytes as encoded, by tag; of a sequence its items, and the delimiter that ends
    one of undefined length."""
    little_endian: bool
    """The byte order of binary values."""
    stop_offset: int
    """Offset in the (inflated) data set of the first element header not scanned, such as
    that of Pixel Data; the data set's size if all was scanned."""
    policy: CharacterSetPolicy = DEFAULT_POLICY
    """How text is read, whatever Specific Character Set says."""

    def __contains__(self, tag: TagLike) -> bool:
        return int(DicomTag.of(tag)) in self.raw

    def text(self, tag: TagLike, default: str = "") -> str:
        """Return a value as text.

        Args:
            tag: The attribute.
            default: Returned where it is absent or empty.

        Returns:
            The whole value, several values joined by a backslash, decoded by Specific
            Character Set, padding removed; binary numbers in decimal.

        Raises:
            PacsException: ``DECODE_FAILED`` for undecodable text where the policy asks
                for an error; by default nothing is raised. So for the other methods.
        """
        number = tag if type(tag) is int else int(DicomTag.of(tag))
        value = self.raw.get(number)
        if not value:
            return default
        if _is_stripped_text(number) and value.isascii():
            # ISO-IR 14 has an overline for the tilde. In all else ASCII is ASCII.
            text = value.decode("ascii")  # finding a character in str is faster than in bytes
            if "\x1b" not in text and "~" not in text:
                return text.strip(" \0") or default
        vr = _vr_of(number)
        if vr.kind is not VrKind.TEXT and vr is not VR.UN:
            return "\\".join(self._binary_texts(number, value)) or default
        return self._decoded(vr, value) or default

    def texts(self, tag: TagLike) -> tuple[str, ...]:
        """Return each value as text, padding removed; none where it is absent or empty."""
        number = int(DicomTag.of(tag))
        text = self.text(number)
        if not text:
            return ()
        if _vr_of(number) in _SINGLE_TEXT:
            return (text,)
        return tuple(value.strip(" \0") for value in text.split("\\"))

    def integer(self, tag: TagLike) -> int | None:
        """Return the first value as a whole number, or ``None`` where there is none."""
        for text in self.texts(tag)[:1]:
            try:
                number = float(text)
                return int(text) if number.is_integer() and text.isdigit() else _whole(number)
            except ValueError:
                return None
        return None

    def floats(self, tag: TagLike) -> tuple[float, ...]:
        """Return each value as a number; none where one of them isn't a number."""
        try:
            return tuple(float(text) for text in self.texts(tag))
        except ValueError:
            return ()

    # -- inside ------------------------------------------------------------------

    def _decoded(self, vr: VR, value: bytes) -> str:
        if vr in _CHARSET_VRS or vr is VR.UN:
            policy = self.policy
            sets = effective_character_sets(self.raw.get(SPECIFIC_CHARACTER_SET), policy)
            text = decode_text(value, sets, vr, strict=policy.strict)
        else:
            text = value.decode("latin-1")
        return text.rstrip(" \0") if vr in _SINGLE_TEXT else text.strip(" \0")

    def _binary_texts(self, tag: int, value: bytes) -> list[str]:
        vr = _vr_of(tag)
        if vr is VR.US and "SS" in DicomTag(tag).dictionary_vr and self._pixels_are_signed():
            vr = VR.SS
        order = "<" if self.little_endian else ">"
        if vr is VR.AT:
            pairs = struct.iter_unpack(f"{order}HH", value[: len(value) // 4 * 4])
            return [f"{group:04X}{element:04X}" for group, element in pairs]
        code = _NUMBER_FORMATS.get(vr)
        if code is None:
            return []
        usable = len(value) // vr.value_width * vr.value_width
        return [str(number) for (number,) in struct.iter_unpack(order + code, value[:usable])]

    def _pixels_are_signed(self) -> bool:
        return any(self.raw.get(_PIXEL_REPRESENTATION, b""))


def _whole(number: float) -> int | None:
    return int(number) if number.is_integer() else None
