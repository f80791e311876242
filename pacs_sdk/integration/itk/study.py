"""What volumes a folder holds, before anything is decoded; and all of them, loaded."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Final, Unpack

import attrs

from pacs_sdk.core.errors import PacsError, PacsException
from pacs_sdk.core.html_table import html_table
from pacs_sdk.core.results import PacsResult, Success, edge, raised
from pacs_sdk.integration.itk.assemble import assemble, numpy_memory
from pacs_sdk.integration.itk.choose import FoundSeries, all_series
from pacs_sdk.integration.itk.grouping import FoundVolume, read_slices, volumes_of
from pacs_sdk.integration.itk.image_slice import ImageSlice
from pacs_sdk.integration.itk.load import LOADING_ERRORS, SharedMemory, series_of
from pacs_sdk.integration.itk.loaded import LoadedSeries, LoadedVolume
from pacs_sdk.integration.itk.options import LoadOptions, LoadSettings
from pacs_sdk.integration.itk.report import Skipped
from pacs_sdk.integration.itk.sitk_image import simple_itk
from pacs_sdk.integration.itk.sources import SeriesSource, find_objects
from pacs_sdk.integration.itk.stack import stack_slices
from pacs_sdk.integration.itk.unread import unread_of_series
from pacs_sdk.integration.itk.volume import VolumeAxis

__all__ = ["LoadableVolume", "LoadedStudy", "SeriesScan", "load_study", "scan_series"]

_MOST_SKIPPED_ROWS: Final = 20

_LONGEST_CELL: Final = 72
"""What is longer is cut in the table; the volume has all of it."""

_PLANES: Final = ("sagittal", "coronal", "axial")
"""The planes at right angles to the patient's axes x, y and z."""
_STRAIGHT: Final = 0.999
"""The cosine from which on slices are not called oblique: 2.5°."""


@attrs.frozen(eq=False)
class LoadableVolume:
    """A volume that was found, as far as headers tell."""

    series_instance_uid: str
    """Its series."""
    number: int
    """Which volume of the series it is, from 0: what ``volume=`` chooses."""
    series_number: int | None
    """Series Number (0020,0011)."""
    modality: str
    """Modality (0008,0060)."""
    description: str
    """Series Description (0008,103E)."""
    size: tuple[int, int, int]
    """Columns, rows, slices."""
    pixel_spacing: tuple[float, float]
    """Between rows, between columns, mm."""
    plane: str
    """How its slices lie: axial, sagittal or coronal, oblique where they are tilted."""
    axis: VolumeAxis | None
    """What tells several volumes of one grid apart: time, echo, diffusion."""
    difference: str
    """What tells it from the first volume of its series."""
    problem: str
    """Why it cannot be loaded with the options given; empty if headers show no reason."""
    _found: FoundVolume = attrs.field(repr=False)
    _options: LoadOptions = attrs.field(repr=False)
    _skipped: tuple[Skipped, ...] = attrs.field(repr=False, default=())
    _lacking: PacsError | None = attrs.field(repr=False, default=None)
    """Why an object of its series is not in it: what loading with ``strict`` gives."""

    @property
    def sop_instance_uids(self) -> tuple[str, ...]:
        """The instances it is made of, in the order of the slices, volume by volume."""
        slices = self._found.slices.volumes
        return tuple(one.sop_instance_uid for volume in slices for one in volume)

    @edge(LOADING_ERRORS)
    def load(self, **settings: Unpack[LoadSettings]) -> LoadedSeries:
        """Decode it; see :func:`load_series`.

        An object of its series that cannot be read or be a slice is an error, unless
        ``strict=False`` leaves it out. Whatever else could not be read is in the report.

        Args:
            **settings: Fields of :class:`LoadOptions`, on top of those of the scan.

        Returns:
            ``Success``, or ``Failure`` with the codes of :func:`load_series`.
        """
        simple_itk()
        options = self._chosen(settings)
        shared = SharedMemory() if options.image_memory == "shared" else None
        volume = assemble(self._found, self._skipped, options, shared or numpy_memory)
        return series_of(volume, shared)

    @edge(LOADING_ERRORS)
    def load_volume(self, **settings: Unpack[LoadSettings]) -> LoadedVolume:
        """Decode it without SimpleITK; see :meth:`load` and :func:`load_volume`.

        Args:
            **settings: Fields of :class:`LoadOptions`, on top of those of the scan.

        Returns:
            ``Success``, or ``Failure`` with the codes of :func:`load_volume`.
        """
        return assemble(self._found, self._skipped, self._chosen(settings), numpy_memory)

    def _chosen(self, settings: LoadSettings) -> LoadOptions:
        """Return the options to load it with.

        Raises:
            PacsException: They are strict, and an object of its series is not in it.
        """
        options = attrs.evolve(self._options, **settings)
        if options.strict and self._lacking is not None:
            raise PacsException.of(self._lacking)
        return options

    def cells(self) -> tuple[str, ...]:
        """Return what the table of :class:`SeriesScan` says about it."""
        size = " × ".join(map(str, self.size))
        several = "" if self.axis is None else f"{len(self.axis)} × {'+'.join(self.axis.keywords)}"
        number = "" if self.series_number is None else str(self.series_number)
        return (
            number,
            str(self.number),
            self.modality,
            self.description,
            size,
            self.plane,
            several,
            _shortened(self.difference),
            _shortened(self.problem),
        )


@attrs.frozen(eq=False, repr=False)
class SeriesScan:
    """The volumes that a source holds; ``print(scan)`` shows them as a table."""

    volumes: tuple[LoadableVolume, ...]
    """The volumes, series by series in the order they were found."""
    skipped: tuple[Skipped, ...]
    """What is no image, or cannot be read or be a slice, with the reason."""

    def __len__(self) -> int:
        return len(self.volumes)

    def __iter__(self) -> Iterator[LoadableVolume]:
        return iter(self.volumes)

    def __getitem__(self, index: int) -> LoadableVolume:
        return self.volumes[index]

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the table, its heading first."""
        yield (
            "series",
            "volume",
            "modality",
            "description",
            "size",
            "plane",
            "4-D",
            "differs in",
            "problem",
        )
        yield from (volume.cells() for volume in self.volumes)

    def __str__(self) -> str:
        rows = list(self.rows())
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        lines += [f"skipped  {one.name}: {one.reason}" for one in self.skipped[:_MOST_SKIPPED_ROWS]]
        more = len(self.skipped) - _MOST_SKIPPED_ROWS
        return "\n".join(lines if more <= 0 else [*lines, f"and {more} more"])

    def __repr__(self) -> str:
        return f"<SeriesScan: {len(self.volumes)} volumes, {len(self.skipped)} skipped>"

    def _repr_html_(self) -> str:
        """Show the table in a notebook."""
        heading, *rows = self.rows()
        left = "".join(
            f"<li>{html.escape(f'{one.name}: {one.reason}')}</li>"
            for one in self.skipped[:_MOST_SKIPPED_ROWS]
        )
        return f"{html_table(heading, rows)}<ul>{left}</ul>"


@attrs.frozen(eq=False)
class LoadedStudy:
    """All volumes of a source, each loaded or refused."""

    scan: SeriesScan
    """What was found."""
    results: tuple[PacsResult[LoadedSeries], ...]
    """For each volume of the scan ``Success`` with it, or ``Failure`` with the reason."""

    @property
    def volumes(self) -> tuple[LoadedSeries, ...]:
        """Those that could be loaded."""
        return tuple(result.unwrap() for result in self.results if isinstance(result, Success))


@edge(LOADING_ERRORS)
def scan_series(
    source: SeriesSource, options: LoadOptions | None = None, **settings: Unpack[LoadSettings]
) -> SeriesScan:
    """List the volumes that a source holds, by headers alone.

    Objects are grouped by series, size, orientation, pixel spacing, frame of reference and
    kind of pixels; images of one place by image type, echo, b-value, trigger time,
    acquisition and time.

    Args:
        source: As for :func:`load_series`.
        options: The options that the volumes will be loaded with. ``strict`` has no say
            about the scan: whatever cannot be read is listed. Loading a volume follows it.
        **settings: The fields of :class:`LoadOptions`, instead of or on top of ``options``.

    Returns:
        ``Success`` with the volumes and what was skipped, or ``Failure`` with
        ``INVALID_ARGUMENT`` or ``FILE_NOT_FOUND``, or what the archive or the peer gives.
    """
    chosen = attrs.evolve(options or LoadOptions(), **settings)
    found, unread = find_objects(
        source,
        series_instance_uid=chosen.series_instance_uid,
        query=chosen.query,
        strict=False,
    )
    lacking = unread_of_series(unread)
    skipped = list(unread)
    volumes: list[LoadableVolume] = []
    for series in all_series(found):
        if chosen.series_instance_uid not in (None, series.series_instance_uid):
            continue
        slices, unusable, error = _read(series, chosen)
        skipped += unusable
        error = lacking.get(series.series_instance_uid, error)
        if slices:
            volumes += [
                _loadable(volume, chosen, (*unread, *unusable), error)
                for volume in volumes_of(slices)
            ]
    return SeriesScan(tuple(volumes), tuple(skipped))


def _read(
    series: FoundSeries, options: LoadOptions
) -> tuple[list[ImageSlice], list[Skipped], PacsError | None]:
    """Read what can be a slice, and why the first image that cannot be one is none."""
    try:
        return *read_slices(series.objects, attrs.evolve(options, strict=True)), None
    except PacsException as exc:
        return *read_slices(series.objects, attrs.evolve(options, strict=False)), exc.error


@edge(LOADING_ERRORS)
def load_study(
    source: SeriesSource, options: LoadOptions | None = None, **settings: Unpack[LoadSettings]
) -> LoadedStudy:
    """Load every volume that a source holds.

    Args:
        source: As for :func:`load_series`.
        options: What becomes of series that are no plain stacks.
        **settings: The fields of :class:`LoadOptions`, instead of or on top of ``options``.

    Returns:
        ``Success`` with a result for each volume, so that one that is refused does not hide
        the others; or ``Failure`` as :func:`scan_series`, or with ``MISSING_DEPENDENCY``.
    """
    simple_itk()
    scan = raised(scan_series(source, options, **settings))
    return LoadedStudy(scan, tuple(volume.load() for volume in scan.volumes))


def _loadable(
    found: FoundVolume,
    options: LoadOptions,
    skipped: tuple[Skipped, ...],
    lacking: PacsError | None,
) -> LoadableVolume:
    first = found.first
    number = first.number("SeriesNumber")
    return LoadableVolume(
        series_instance_uid=first.kind.series_instance_uid,
        number=found.number,
        series_number=None if number is None else int(number),
        modality=first.text("Modality"),
        description=first.text("SeriesDescription"),
        size=(first.kind.columns, first.kind.rows, found.slice_count),
        pixel_spacing=first.kind.pixel_spacing,
        plane=_plane(first),
        axis=found.slices.axis,
        difference="" if found.difference is None else str(found.difference),
        problem=lacking.message if lacking and options.strict else _problem(found, options),
        found=found,
        options=options,
        skipped=skipped,
        lacking=lacking,
    )


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…"


def _plane(first: ImageSlice) -> str:
    row, column = first.kind.orientation[:3], first.kind.orientation[3:]
    normal = [
        row[1] * column[2] - row[2] * column[1],
        row[2] * column[0] - row[0] * column[2],
        row[0] * column[1] - row[1] * column[0],
    ]
    axis = max(range(3), key=lambda index: abs(normal[index]))
    straight = abs(normal[axis]) >= _STRAIGHT
    return _PLANES[axis] if straight else f"oblique {_PLANES[axis]}"


def _problem(found: FoundVolume, options: LoadOptions) -> str:
    slices: Sequence[ImageSlice] = found.slices.volumes[0]
    clashes, copies = len(found.slices.clashes), len(found.slices.copies)
    if clashes and options.on_duplicates != "first":
        where = "1 place has" if clashes == 1 else f"{clashes} places have"
        return f"{where} several images that no attribute tells apart"
    if copies and options.on_duplicates == "error":
        return f"{copies} image{' is' if copies == 1 else 's are'} there twice"
    if found.slices.axis is not None and options.on_same_position == "error":
        return f"there are {len(found.slices.axis)} images of each place"
    try:
        stack_slices(slices, options)
    except PacsException as exc:
        return exc.error.message
    return ""
