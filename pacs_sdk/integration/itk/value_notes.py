"""What the values of a volume measure, and what a careful reader should know about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pacs_sdk.core.tags import DicomTag
from pacs_sdk.integration.itk.image_slice import ImageSlice
from pacs_sdk.integration.itk.options import LoadOptions
from pacs_sdk.integration.itk.places import SeparatedVolumes

__all__ = ["notes_on_values", "unit_of"]

_UNIT_TAGS: Final = tuple(int(DicomTag.of(keyword)) for keyword in ("RescaleType", "Units"))

_OF_A_VOLUME: Final = (
    "ImageType",
    "ComplexImageComponent",
    "EchoTime",
    "EchoNumbers",
    "DiffusionBValue",
    "FlipAngle",
    "KVP",
    "SliceThickness",
    "TemporalPositionIdentifier",
)
"""What the slices of a volume have in common, unless they are of several."""
_MOST_NAMED: Final = 3
_MAPPING: Final = int(DicomTag.of("RealWorldValueMappingSequence"))


def unit_of(found: SeparatedVolumes, options: LoadOptions) -> tuple[str, tuple[str, ...]]:
    """Return the unit of a volume's values, empty where they have none in common, and notes.

    Args:
        found: Its slices.
        options: Which values they are.
    """
    if options.rescale != "stated" or found.volumes[0][0].kind.is_colour:
        return "", ()
    alike: dict[tuple[object, ...], ImageSlice] = {}  # most say the same: understood once
    for volume in found.volumes:
        for one in volume:
            said = tuple(map(one.found.header.raw.get, _UNIT_TAGS))
            alike.setdefault((id(one.kind), *said), one)
    units = list(dict.fromkeys(map(_unit, alike.values())))
    if len(units) == 1:
        return units[0], ()
    stated = ", ".join(unit or "none" for unit in units)
    note = (
        f"RescaleType (0028,1054) or Units (0054,1001) differ among the slices: {stated}; the "
        "values have no one unit"
    )
    return "", (note,)


def _unit(one: ImageSlice) -> str:
    unit = one.text("RescaleType") or one.text("Units")
    if one.text("Modality") == "CT" and not unit and one.kind.rescale_stated:
        return "HU"  # what Rescale Type means in a CT image where it is absent (PS3.3 C.8.2.1)
    return unit


def notes_on_values(found: SeparatedVolumes, options: LoadOptions) -> list[str]:
    """Say what a careful reader should know about the values of a volume."""
    kinds = list({id(one.kind): one.kind for volume in found.volumes for one in volume}.values())
    notes = []
    if any(kind.padding is not None for kind in kinds) and options.padding == "keep":
        first = found.volumes[0][0]
        notes.append(
            f"PixelPaddingValue (0028,0120) is {first.text('PixelPaddingValue') or 'set'} as "
            "stored; it was kept, rescaled"
        )
    if len({(kind.bits_stored, kind.signed) for kind in kinds}) > 1:
        notes.append(
            "BitsStored (0028,0101) or PixelRepresentation (0028,0103) differ among the slices; "
            "each was read by its own"
        )
    if options.monochrome1 == "keep" and any(kind.photometric == "MONOCHROME1" for kind in kinds):
        notes.append(
            "PhotometricInterpretation (0028,0004) is MONOCHROME1: low values are meant to be "
            "shown bright; the values are as they are stored and rescaled"
        )
    if any(kind.is_colour for kind in kinds):
        notes.append(f"{kinds[0].photometric} became red, green and blue of 8 bits")
    first = found.volumes[0][0]
    if _MAPPING in first.found.header.raw and not first.kind.rescale_stated:
        notes.append(
            "RealWorldValueMappingSequence (0040,9096) maps stored values; it was not applied"
        )
    return [*notes, *_differences(found.volumes[0])]


def _differences(volume: Sequence[ImageSlice]) -> Iterator[str]:
    """Say what differs among slices that each have a place of their own."""
    for keyword in _OF_A_VOLUME:
        tag = DicomTag.of(keyword)
        said = {(one.attributes.get(keyword), one.found.header.raw.get(int(tag))) for one in volume}
        if len(said) == 1:
            continue
        values = list(dict.fromkeys((one.numbers(keyword) or one.text(keyword)) for one in volume))
        if len(values) > 1:
            texts = list(dict.fromkeys(one.text(keyword) or "absent" for one in volume))
            more = ", …" if len(texts) > _MOST_NAMED else ""
            yield (
                f"{keyword} {tag} differs among the slices, which may be of several volumes: "
                f"{', '.join(texts[:_MOST_NAMED])}{more}"
            )
