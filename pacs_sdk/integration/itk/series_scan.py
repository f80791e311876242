"""From a folder, files, instances or an archive to the headers of one series."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, runtime_checkable

import attrs
from pydicom.uid import UID

from pacs_sdk.core.byte_source import FileBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import Failure, PacsResult, Success, raised
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding.datasets.header import InstanceHeader
from pacs_sdk.encoding.files.part10 import read_bytes, read_file
from pacs_sdk.encoding.instance import Instance
from pacs_sdk.integration.itk.report import Skipped

if TYPE_CHECKING:
    from pacs_sdk.storage import Query

__all__ = [
    "SCAN_TAGS",
    "FoundObject",
    "FoundSeries",
    "InstanceArchive",
    "SeriesSource",
    "choose_series",
    "find_objects",
]

_MEDIA_DIRECTORY: Final = "1.2.840.10008.1.3.10"
_MOST_SERIES_NAMED: Final = 12
"""How many series a message names; the error's details have them all."""

_LAST_BEFORE_PIXELS: Final = 0x7FDFFFFF
"""Asking for it makes the scan go on to Pixel Data, so that its place is known."""

SCAN_TAGS: Final[frozenset[int]] = frozenset(
    int(DicomTag.of(keyword))
    for keyword in (
        "SpecificCharacterSet",
        "ImageType",
        "Modality",
        "SeriesDescription",
        "EchoTime",
        "EchoNumbers",
        "TriggerTime",
        "DiffusionBValue",
        "SliceThickness",
        "SpacingBetweenSlices",
        "SeriesInstanceUID",
        "AcquisitionNumber",
        "AcquisitionTime",
        "ContentTime",
        "InstanceNumber",
        "DiffusionGradientOrientation",
        "TemporalPositionIdentifier",
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "FrameOfReferenceUID",
        "NumberOfFrames",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "Rows",
        "Columns",
        "PixelSpacing",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "PixelPaddingValue",
        "RescaleIntercept",
        "RescaleSlope",
        "RescaleType",
        "Units",
    )
) | {_LAST_BEFORE_PIXELS}
"""The attributes that decide how a series becomes a volume."""

_SERIES_INSTANCE_UID: Final = int(DicomTag.of("SeriesInstanceUID"))
_SERIES_DESCRIPTION: Final = int(DicomTag.of("SeriesDescription"))
_MODALITY: Final = int(DicomTag.of("Modality"))
_ROWS: Final = int(DicomTag.of("Rows"))


@runtime_checkable
class InstanceArchive(Protocol):
    """Something that finds instances; ``pacs_sdk.storage.Archive`` does."""

    def instances(self, query: Query, /) -> PacsResult[Iterator[Instance]]:
        """Give the instances below what matches the query."""


SeriesSource: TypeAlias = (
    str
    | os.PathLike[str]
    | Instance
    | InstanceArchive
    | Iterable[str | os.PathLike[str] | bytes | Instance]
)
"""A folder or file; an instance; an archive; or any number of files (their paths or
their bytes) and instances."""


@attrs.frozen(eq=False)
class FoundObject:
    """An object whose header was read."""

    name: str
    """What to call it in messages: its path, or its SOP Instance UID."""
    instance: Instance
    """The object."""
    header: InstanceHeader
    """Those of :data:`SCAN_TAGS` that it has."""


@attrs.frozen(eq=False)
class FoundSeries:
    """The objects of one series."""

    series_instance_uid: str
    """Which series."""
    objects: tuple[FoundObject, ...]
    """Its objects, in the order they were found."""

    @property
    def is_image(self) -> bool:
        """Whether any of its objects is an image."""
        return any(_ROWS in found.header for found in self.objects)

    def __str__(self) -> str:
        first = self.objects[0].header
        words = [first.text(_MODALITY, "?"), f"{len(self.objects)} objects"]
        description = first.text(_SERIES_DESCRIPTION)
        if description:
            words.append(repr(description))
        return f"{self.series_instance_uid} ({', '.join(words)})"


# -- finding ----------------------------------------------------------------------------


def find_objects(
    source: SeriesSource, series_instance_uid: str | None, *, strict: bool
) -> tuple[list[FoundObject], list[Skipped]]:
    """Read the header of everything that the source holds.

    Args:
        source: Where to look. In a folder, files that are not DICOM are skipped with the
            reason.
        series_instance_uid: The series wanted; an archive is only asked for this one.
        strict: Whether an object that cannot be read is an error. Otherwise it is skipped
            with the reason.

    Raises:
        PacsException: What reading gave, naming the file; ``FILE_NOT_FOUND``;
            ``INVALID_ARGUMENT`` for an archive without ``series_instance_uid``.
    """
    found: list[FoundObject] = []
    skipped: list[Skipped] = []
    in_folder = isinstance(source, str | os.PathLike) and Path(source).is_dir()
    for name, item in _items(source, series_instance_uid):
        match _opened(name, item):
            case Success(opened):
                if opened.instance.sop_class_uid == _MEDIA_DIRECTORY:
                    skipped.append(Skipped(opened.name, "a DICOMDIR, which holds no image"))
                else:
                    found.append(opened)
            case Failure(error):
                stray = in_folder and error.code is ErrorCode.NOT_DICOM
                if strict and not stray:
                    raise PacsException.of(error)
                skipped.append(Skipped(name, error.message.removeprefix(f"{name}: ")))
    return found, skipped


_Item: TypeAlias = Path | bytes | Instance


def _items(source: SeriesSource, series_instance_uid: str | None) -> Iterator[tuple[str, _Item]]:
    """Yield everything to look at, with a name."""
    if isinstance(source, Instance):
        yield _name_of(source), source
    elif isinstance(source, str | os.PathLike):
        yield from ((str(path), path) for path in _files(Path(source)))
    elif isinstance(source, InstanceArchive):
        for instance in _from_archive(source, series_instance_uid):
            yield f"instance {instance.sop_instance_uid}", instance
    elif isinstance(source, Iterable):
        for number, item in enumerate(source):
            yield _named(number, item)
    else:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"a {type(source).__name__} cannot be loaded; give a folder, files, instances or "
            "an archive",
        )


def _named(number: int, item: Any) -> tuple[str, _Item]:
    if isinstance(item, Instance):
        return _name_of(item), item
    if isinstance(item, bytes | bytearray | memoryview):
        return f"item {number}", bytes(item)
    if isinstance(item, str | os.PathLike):
        return str(item), Path(item)
    raise PacsException(
        ErrorCode.INVALID_ARGUMENT,
        f"item {number} of the source is a {type(item).__name__}; "
        "paths, bytes and Instance objects can be loaded",
    )


def _name_of(instance: Instance) -> str:
    if isinstance(instance.encoded, FileBytes):
        return str(instance.encoded.path)
    return f"instance {instance.sop_instance_uid}"


def _files(place: Path) -> Iterator[Path]:
    if not place.is_dir():
        yield place
        return
    for folder, folders, names in os.walk(place):
        folders.sort()
        yield from (Path(folder, name) for name in sorted(names))


def _from_archive(archive: InstanceArchive, series_instance_uid: str | None) -> Iterator[Instance]:
    if series_instance_uid is None:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            "an archive holds many series: say which one with series_instance_uid=",
        )
    from pacs_sdk.storage import Query, QueryLevel  # a folder can be loaded without a database

    query = raised(Query.of(QueryLevel.SERIES, SeriesInstanceUID=series_instance_uid))
    return raised(archive.instances(query))


def _opened(name: str, item: _Item) -> PacsResult[FoundObject]:
    match item:
        case Instance():
            reading: PacsResult[Instance] = Success(item)
        case bytes():
            reading = read_bytes(item)
        case Path():
            reading = read_file(item)
    return reading.bind(
        lambda instance: instance.header(SCAN_TAGS).map(
            lambda header: FoundObject(name, instance, header)
        )
    )


# -- choosing ---------------------------------------------------------------------------


def choose_series(
    found: list[FoundObject], series_instance_uid: str | None
) -> tuple[FoundSeries, list[Skipped]]:
    """Choose the series to load.

    Args:
        found: Everything that was read.
        series_instance_uid: The series wanted; ``None`` takes the only image series.

    Returns:
        The series, and the objects of all others with the reason why they are left out.

    Raises:
        PacsException: ``SERIES_NOT_LOADABLE`` where there is no image, no such series, or
            more than one image series to choose from.
    """
    every = _grouped(found)
    images = [series for series in every if series.is_image]
    if series_instance_uid is not None:
        chosen = next((s for s in every if s.series_instance_uid == series_instance_uid), None)
        if chosen is None:
            raise _no_such_series(series_instance_uid, images)
    elif len(images) == 1:
        chosen = images[0]
    else:
        raise _no_image(every) if not images else _several(images)
    others = [found for series in every if series is not chosen for found in series.objects]
    return chosen, [Skipped(found.name, _why_not(found)) for found in others]


def _grouped(found: list[FoundObject]) -> list[FoundSeries]:
    groups: dict[str, list[FoundObject]] = {}
    for one in found:
        groups.setdefault(one.header.text(_SERIES_INSTANCE_UID), []).append(one)
    return [FoundSeries(uid, tuple(objects)) for uid, objects in groups.items()]


def _why_not(found: FoundObject) -> str:
    kind = UID(found.instance.sop_class_uid).name
    if _ROWS not in found.header:
        return f"{kind}, which is no image"
    return f"{kind} of another series, {found.header.text(_SERIES_INSTANCE_UID)}"


def _listed(series: list[FoundSeries]) -> str:
    named = "; ".join(str(one) for one in series[:_MOST_SERIES_NAMED])
    more = len(series) - _MOST_SERIES_NAMED
    return named if more <= 0 else f"{named}; and {more} more"


def _several(images: list[FoundSeries]) -> PacsException:
    return PacsException(
        ErrorCode.SERIES_NOT_LOADABLE,
        f"there are {len(images)} image series, choose one with series_instance_uid=: "
        f"{_listed(images)}",
        series=tuple(series.series_instance_uid for series in images),
    )


def _no_such_series(wanted: str, images: list[FoundSeries]) -> PacsException:
    there = _listed(images) if images else "none"
    return PacsException(
        ErrorCode.SERIES_NOT_LOADABLE,
        f"there is no series {wanted}; the image series are: {there}",
        series=tuple(series.series_instance_uid for series in images),
    )


def _no_image(every: list[FoundSeries]) -> PacsException:
    there = f"only {_listed(every)}" if every else "no DICOM object at all"
    return PacsException(ErrorCode.SERIES_NOT_LOADABLE, f"there is no image to load, {there}")
