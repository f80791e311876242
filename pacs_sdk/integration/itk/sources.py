"""What a series can be loaded from, and the headers of all that is there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, runtime_checkable

import attrs

from pacs_sdk.core.byte_source import FileBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import Failure, PacsResult, Success, raised
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding.datasets.header import InstanceHeader
from pacs_sdk.encoding.files.part10 import read_bytes
from pacs_sdk.encoding.files.scanned_file import scan_file
from pacs_sdk.encoding.instance import Instance
from pacs_sdk.integration.itk.remote import RemoteSeries
from pacs_sdk.integration.itk.report import Skipped

if TYPE_CHECKING:
    from pacs_sdk.storage import Query

__all__ = [
    "SCAN_TAGS",
    "FoundObject",
    "InstanceArchive",
    "SeriesSource",
    "files_in",
    "find_objects",
]

_MEDIA_DIRECTORY: Final = "1.2.840.10008.1.3.10"

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
        "InversionTime",
        "TriggerTime",
        "FrameReferenceTime",
        "FlipAngle",
        "RepetitionTime",
        "KVP",
        "DiffusionBValue",
        "DiffusionGradientOrientation",
        "SliceThickness",
        "SpacingBetweenSlices",
        "SeriesInstanceUID",
        "StudyInstanceUID",
        "SeriesNumber",
        "AcquisitionNumber",
        "AcquisitionDate",
        "AcquisitionTime",
        "ContentDate",
        "ContentTime",
        "InstanceNumber",
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
        "PixelPaddingRangeLimit",
        "RescaleIntercept",
        "RescaleSlope",
        "RescaleType",
        "Units",
        "ModalityLUTSequence",
        "RealWorldValueMappingSequence",
    )
) | {_LAST_BEFORE_PIXELS}
"""The attributes that decide how a series becomes a volume."""


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
    | RemoteSeries
    | Iterable[str | os.PathLike[str] | bytes | Instance]
)
"""A folder or file; an instance; an archive; a series of a peer; or any number of files (their
paths or their bytes) and instances."""


@attrs.frozen(eq=False)
class FoundObject:
    """An object whose header was read."""

    name: str
    """What to call it in messages: its path, or its SOP Instance UID."""
    instance: Instance
    """The object."""
    header: InstanceHeader
    """Those of :data:`SCAN_TAGS` that it has."""
    pixels: tuple[int, int] | None = None
    """Where in the data set native Pixel Data begins, and its length, where that was seen."""


def find_objects(
    source: SeriesSource,
    *,
    series_instance_uid: str | None = None,
    query: Query | None = None,
    strict: bool = True,
) -> tuple[list[FoundObject], list[Skipped]]:
    """Read the header of everything that the source holds.

    Args:
        source: Where to look. In a folder, files that are not DICOM are skipped with the
            reason.
        series_instance_uid: The series wanted; an archive is only asked for this one.
        query: What to ask an archive for instead.
        strict: Whether an object that cannot be read, or a folder that cannot be listed, is an
            error. Otherwise it is skipped with the reason.

    Raises:
        OSError: A folder cannot be listed.
        PacsException: What reading gave, naming the file; ``FILE_NOT_FOUND``;
            ``INVALID_ARGUMENT`` for an archive without ``series_instance_uid`` or ``query``.
    """
    found: list[FoundObject] = []
    skipped: list[Skipped] = []
    unlisted: list[OSError] = []
    in_folder = isinstance(source, str | os.PathLike) and Path(source).is_dir()
    for name, item in _items(source, series_instance_uid, query, unlisted):
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
    if unlisted and strict:
        raise unlisted[0]
    skipped += [Skipped(str(one.filename), f"it cannot be listed: {one}") for one in unlisted]
    return found, skipped


_Item: TypeAlias = Path | bytes | Instance


def _items(
    source: SeriesSource,
    series_instance_uid: str | None,
    query: Query | None,
    unlisted: list[OSError],
) -> Iterator[tuple[str, _Item]]:
    """Yield everything to look at, with a name; add what folders cannot be listed."""
    if isinstance(source, Instance):
        yield _name_of(source), source
    elif isinstance(source, str | os.PathLike):
        yield from ((str(path), path) for path in files_in(Path(source), unlisted))
    elif isinstance(source, RemoteSeries):
        for instance in source.instances():
            yield f"instance {instance.sop_instance_uid}", instance
    elif isinstance(source, InstanceArchive):
        for instance in _from_archive(source, series_instance_uid, query):
            yield f"instance {instance.sop_instance_uid}", instance
    elif isinstance(source, Iterable):
        for number, item in enumerate(source):
            yield _named(number, item)
    else:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"a {type(source).__name__} cannot be loaded; give a folder, files, instances, "
            "an archive or a RemoteSeries",
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


def files_in(place: Path, unlisted: list[OSError]) -> Iterator[Path]:
    """Yield the files of a folder and of all folders in it, in order; a file yields itself.

    Links to folders are followed, and each folder is listed once.

    Args:
        place: The folder.
        unlisted: Gets the errors of folders that cannot be listed.
    """
    if not place.is_dir():
        yield place
        return
    seen: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(place, onerror=unlisted.append, followlinks=True):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort()
        yield from (Path(folder, name) for name in sorted(names))


def _from_archive(
    archive: InstanceArchive, series_instance_uid: str | None, query: Query | None
) -> Iterator[Instance]:
    if series_instance_uid is None and query is None:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            "an archive holds many series: say which one with series_instance_uid= or query=",
        )
    from pacs_sdk.storage import Query, QueryLevel  # a folder can be loaded without a database

    wanted = query or raised(Query.of(QueryLevel.SERIES, SeriesInstanceUID=series_instance_uid))
    return raised(archive.instances(wanted))


def _opened(name: str, item: _Item) -> PacsResult[FoundObject]:
    if isinstance(item, Path):
        return scan_file(item, SCAN_TAGS).map(
            lambda scanned: FoundObject(name, scanned.instance, scanned.header, scanned.pixels)
        )
    reading: PacsResult[Instance] = (
        Success(item) if isinstance(item, Instance) else read_bytes(item)
    )
    return reading.bind(
        lambda instance: instance.header(SCAN_TAGS).map(
            lambda header: FoundObject(name, instance, header)
        )
    )
