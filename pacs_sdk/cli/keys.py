"""Query keys as they are typed: ``Keyword=value`` to match, ``Keyword`` to be returned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import pydicom
import pydicom.config
import typer
from pydicom.dataelem import DataElement

from pacs_sdk.cli.options import Level
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.vr import VR, VrKind

__all__ = [
    "RETURN_KEYS",
    "UNIQUE_KEYS",
    "add_items",
    "identifier",
    "is_nested",
    "parse_keys",
    "parse_nested_keys",
]

UNIQUE_KEYS: Final[Mapping[Level, str]] = {
    Level.PATIENT: "PatientID",
    Level.STUDY: "StudyInstanceUID",
    Level.SERIES: "SeriesInstanceUID",
    Level.IMAGE: "SOPInstanceUID",
}
"""The key that names an entity of each level (PS3.4 C.6.1.1), highest level first."""

RETURN_KEYS: Final[Mapping[Level, tuple[str, ...]]] = {
    Level.PATIENT: (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "NumberOfPatientRelatedStudies",
    ),
    Level.STUDY: (
        "StudyDate",
        "PatientName",
        "PatientID",
        "AccessionNumber",
        "ModalitiesInStudy",
        "StudyDescription",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
        "StudyInstanceUID",
    ),
    Level.SERIES: (
        "SeriesNumber",
        "Modality",
        "SeriesDescription",
        "NumberOfSeriesRelatedInstances",
        "SeriesInstanceUID",
    ),
    Level.IMAGE: ("InstanceNumber", "SOPClassUID", "SOPInstanceUID"),
}
"""What is asked for at each level when the user names nothing to be returned."""

_UTF_8: Final = "ISO_IR 192"


def parse_keys(texts: Iterable[str]) -> dict[DicomTag, str]:
    """Read ``-k`` options; values of a repeated key become a list to match.

    Returns:
        The value by tag, an empty one for a key that is only to be returned.

    Raises:
        typer.BadParameter: A text names no attribute, or one that can't be a key.
    """
    values: dict[DicomTag, str] = {}
    for text in texts:
        name, _, value = text.partition("=")
        tag = _tag(name)
        values[tag] = _joined(values.get(tag, ""), value)
    return values


def _joined(earlier: str, value: str) -> str:
    return f"{earlier}\\{value}" if earlier and value else earlier or value


def parse_nested_keys(texts: Iterable[str]) -> dict[tuple[DicomTag, DicomTag], str]:
    """Read keys in the item of a sequence, ``Sequence.Attribute=value``; repeated as others.

    Args:
        texts: Options for which :func:`is_nested` holds.

    Returns:
        The value by the tags of sequence and attribute.

    Raises:
        typer.BadParameter: A text names no sequence, or no attribute that can be a key in it.
    """
    values: dict[tuple[DicomTag, DicomTag], str] = {}
    for text in texts:
        path, _, value = text.partition("=")
        outer, _, inner = path.partition(".")
        try:
            sequence = DicomTag.of(outer.strip())
        except PacsException as exc:
            raise typer.BadParameter(exc.error.message, param_hint="-k") from None
        if sequence.dictionary_vr != VR.SQ:
            raise typer.BadParameter(f"{outer} is no sequence", param_hint="-k")
        key = sequence, _tag(inner)
        values[key] = _joined(values.get(key, ""), value)
    return values


def is_nested(text: str) -> bool:
    """Tell whether a ``-k`` option is about the item of a sequence."""
    return "." in text.partition("=")[0]


def add_items(keys: DicomDataset, nested: Mapping[tuple[DicomTag, DicomTag], str]) -> None:
    """Put keys into the items of their sequences; each sequence has one (PS3.4 C.2.2.2.6).

    Raises:
        typer.BadParameter: A value doesn't fit its attribute.
    """
    for sequence in dict.fromkeys(sequence for sequence, _ in nested):
        inside = {tag: text for (outer, tag), text in nested.items() if outer == sequence}
        item = pydicom.Dataset()
        for tag, text in inside.items():
            item[int(tag)] = _element(tag, text)
        keys.pydicom[int(sequence)] = DataElement(int(sequence), VR.SQ, [item])
        is_ascii = all(text.isascii() for text in inside.values())
        if not is_ascii and not keys.get("SpecificCharacterSet"):
            keys["SpecificCharacterSet"] = _UTF_8


def _tag(name: str) -> DicomTag:
    try:
        tag = DicomTag.of(name.strip())
    except PacsException as exc:
        raise typer.BadParameter(
            f"{exc.error.message}; write for instance PatientName=Doe*", param_hint="-k"
        ) from None
    if _vr(tag).kind in (VrKind.BYTES, VrKind.SEQUENCE):
        raise typer.BadParameter(f"{name} cannot be a key", param_hint="-k")
    return tag


def _vr(tag: DicomTag) -> VR:
    return VR(tag.dictionary_vr[:2])  # of "US or SS" the first


def identifier(level: Level, values: Mapping[DicomTag, str]) -> DicomDataset:
    """Build the identifier of a C-FIND or C-GET.

    Raises:
        typer.BadParameter: A value doesn't fit its attribute.
    """
    keys = DicomDataset(QueryRetrieveLevel=level.value)
    if not all(value.isascii() for value in values.values()):
        keys["SpecificCharacterSet"] = _UTF_8
    for tag, value in values.items():
        keys.pydicom[int(tag)] = _element(tag, value)
    return keys


def _element(tag: DicomTag, value: str) -> DataElement:
    vr = _vr(tag)
    parts = value.split("\\") if vr.rule.multiple else [value]
    try:
        # Not checked as a value: a key may have wildcards and ranges (PS3.4 C.2.2.2).
        return DataElement(int(tag), vr, _typed(parts, vr), validation_mode=pydicom.config.IGNORE)
    except (TypeError, ValueError, OverflowError):
        raise typer.BadParameter(
            f"{value!r} does not fit {tag.keyword or tag}, whose values are {vr}",
            param_hint="-k",
        ) from None


def _typed(parts: Sequence[str], vr: VR) -> object:
    if not any(parts):
        return None if vr.kind is not VrKind.TEXT else ""
    typed: list[object] = list(parts)
    if vr.kind is VrKind.NUMBER:
        typed = [float(part) if vr in (VR.FL, VR.FD) else int(part) for part in parts]
    elif vr.kind is VrKind.TAG:
        typed = [int(part, 16) for part in parts]
    return typed[0] if len(typed) == 1 else typed
