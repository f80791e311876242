"""Which series of a source, and which volume of a series, is to be loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
from pydicom.config import IGNORE
from pydicom.uid import UID

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.integration.itk.grouping import LOADED_BY, Difference, FoundVolume
from pacs_sdk.integration.itk.options import LoadOptions
from pacs_sdk.integration.itk.report import Skipped
from pacs_sdk.integration.itk.sources import FoundObject

__all__ = ["FoundSeries", "all_series", "choose_series", "choose_volume"]

_MOST_NAMED: Final = 12
"""How many series a message names; the error's details have them all."""
_MOST_VOLUMES_NAMED: Final = 5

_SERIES_INSTANCE_UID: Final = int(DicomTag.of("SeriesInstanceUID"))
_ROWS: Final = int(DicomTag.of("Rows"))


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
        return any(_ROWS in found.header.raw for found in self.objects)

    @property
    def has_slices(self) -> bool:
        """Whether any of them is an image that another function is not there to load."""
        return any(
            _ROWS in found.header.raw and found.instance.sop_class_uid not in LOADED_BY
            for found in self.objects
        )

    def __str__(self) -> str:
        first = self.objects[0].header
        words = [first.text("Modality", "?"), f"{len(self.objects)} objects"]
        description = first.text("SeriesDescription")
        if description:
            words.append(repr(description))
        return f"{self.series_instance_uid} ({', '.join(words)})"


def all_series(found: Sequence[FoundObject]) -> list[FoundSeries]:
    """Group objects by their series, in the order they were found."""
    groups: dict[str, list[FoundObject]] = {}
    texts: dict[bytes | None, str] = {}
    for one in found:
        raw = one.header.raw.get(_SERIES_INSTANCE_UID)
        if raw not in texts:
            texts[raw] = one.header.text(_SERIES_INSTANCE_UID)
        groups.setdefault(texts[raw], []).append(one)
    return [FoundSeries(uid, tuple(objects)) for uid, objects in groups.items()]


def choose_series(
    found: Sequence[FoundObject], series_instance_uid: str | None
) -> tuple[FoundSeries, list[Skipped]]:
    """Choose the series to load.

    Args:
        found: Everything that was read.
        series_instance_uid: The series wanted; ``None`` takes the only image series, beside
            which segmentations and doses are none.

    Returns:
        The series, and the objects of all others with the reason why they are left out.

    Raises:
        PacsException: ``SERIES_NOT_LOADABLE`` where there is no image, no such series, or
            more than one image series to choose from.
    """
    every = all_series(found)
    images = [series for series in every if series.has_slices]
    images = images or [series for series in every if series.is_image]
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


def _why_not(found: FoundObject) -> str:
    kind = UID(found.instance.sop_class_uid, validation_mode=IGNORE).name
    if _ROWS not in found.header.raw:
        return f"{kind}, which is no image"
    loader = LOADED_BY.get(found.instance.sop_class_uid)
    if loader:
        return f"{kind}, which {loader} loads"
    return f"{kind} of another series, {found.header.text(_SERIES_INSTANCE_UID)}"


def _listed(series: list[FoundSeries]) -> str:
    named = "; ".join(str(one) for one in series[:_MOST_NAMED])
    more = len(series) - _MOST_NAMED
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


# -- the volume of a series -------------------------------------------------------------------


def choose_volume(
    volumes: Sequence[FoundVolume], options: LoadOptions
) -> tuple[FoundVolume, list[Skipped]]:
    """Choose the volume to load.

    Args:
        volumes: Those of one series.
        options: ``volume`` and ``on_mixed`` decide; without ``strict`` images of another bit
            depth are left out, too.

    Returns:
        The volume, and the images of all others with the reason why they are left out.

    Raises:
        PacsException: ``SERIES_NOT_LOADABLE`` with the list of the volumes where the options
            don't choose; ``INVALID_ARGUMENT`` where there is no such volume.
    """
    if options.volume is not None:
        if not 0 <= options.volume < len(volumes):
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"volume={options.volume}: the series has {len(volumes)}, numbered from 0",
            )
        chosen = volumes[options.volume]
    elif len(volumes) == 1 or options.on_mixed == "largest" or _only_pixels(volumes, options):
        chosen = max(volumes, key=lambda one: len(one.images()))
    else:
        raise _mixed(volumes)
    left_out = [
        Skipped(image.name, f"of another volume of the series: {_told(one, volumes)}")
        for one in volumes
        if one is not chosen
        for image in one.images()
    ]
    return chosen, left_out


def _only_pixels(volumes: Sequence[FoundVolume], options: LoadOptions) -> bool:
    """Whether some slices of the volume have pixels of another kind, and may be skipped."""
    differences = {one.difference.keyword for one in volumes if one.difference is not None}
    return not options.strict and differences <= {"BitsAllocated", "PhotometricInterpretation"}


def _first_keyword(volumes: Sequence[FoundVolume]) -> str:
    return next(one.difference.keyword for one in volumes if one.difference is not None)


def _told(one: FoundVolume, volumes: Sequence[FoundVolume]) -> str:
    keyword = _first_keyword(volumes)
    return str(one.difference or Difference(keyword, one.text(keyword)))


def _mixed(volumes: Sequence[FoundVolume]) -> PacsException:
    keyword = _first_keyword(volumes)
    tag = DicomTag.of(keyword)
    shown = "; ".join(
        f"{one.number}: {len(one.images())} with {_value(one, keyword)} (such as {one.first.name})"
        for one in volumes[:_MOST_VOLUMES_NAMED]
    )
    more = "; …" if len(volumes) > _MOST_VOLUMES_NAMED else ""
    count = sum(len(one.images()) for one in volumes)
    return PacsException(
        ErrorCode.SERIES_NOT_LOADABLE,
        f"the {count} images have {len(volumes)} different values of {keyword} {tag} and cannot "
        f"be one volume: {shown}{more}; choose one with volume= or on_mixed='largest'",
        tag=str(tag),
        path=volumes[1].first.name,
    )


def _value(one: FoundVolume, keyword: str) -> str:
    if one.difference is None or one.difference.keyword == keyword:
        return one.text(keyword)
    return str(one.difference)
