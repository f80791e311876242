"""Query keys as they are typed: ``Keyword=value`` to match, ``Keyword`` to be returned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import pydicom.config
import typer
from pydicom.dataelem import DataElement

from pacs_sdk.cli.options import Level
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.vr import VR, VrKind

__all__ = ["RETURN_KEYS", "UNIQUE_KEYS", "identifier", "parse_keys"]

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
        earlier = values.get(tag, "")
        values[tag] = f"{earlier}\\{value}" if earlier and value else earlier or value
    return values


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
        vr = _vr(tag)
        try:
            # Not checked as a value: a key may have wildcards and ranges (PS3.4 C.2.2.2).
            keys.pydicom[int(tag)] = DataElement(
                int(tag), vr, _typed(value.split("\\"), vr), validation_mode=pydicom.config.IGNORE
            )
        except (TypeError, ValueError, OverflowError):
            raise typer.BadParameter(
                f"{value!r} does not fit {tag.keyword or tag}, whose values are {vr}",
                param_hint="-k",
            ) from None
    return keys


def _typed(parts: Sequence[str], vr: VR) -> object:
    if not any(parts):
        return None if vr.kind is not VrKind.TEXT else ""
    typed: list[object] = list(parts)
    if vr.kind is VrKind.NUMBER:
        typed = [float(part) if vr in (VR.FL, VR.FD) else int(part) for part in parts]
    elif vr.kind is VrKind.TAG:
        typed = [int(part, 16) for part in parts]
    return typed[0] if len(typed) == 1 else typed
