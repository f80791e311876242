"""From the headers of a volume's slices to the volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.integration.itk.duplicates import without_duplicates
from pacs_sdk.integration.itk.fill import FilledVolume, SlicesFailedError, fill_slices
from pacs_sdk.integration.itk.finish import GridValues, VolumeMemory, fill_gaps, resampled
from pacs_sdk.integration.itk.geometry import POSITION_TOLERANCE, PointMm, VolumeGeometry
from pacs_sdk.integration.itk.grouping import FoundVolume
from pacs_sdk.integration.itk.image_slice import ImageSlice, not_loadable
from pacs_sdk.integration.itk.loaded import LoadedVolume, SliceSource
from pacs_sdk.integration.itk.options import LoadOptions
from pacs_sdk.integration.itk.places import SeparatedVolumes
from pacs_sdk.integration.itk.report import SeriesReport, Skipped
from pacs_sdk.integration.itk.resample import nearest_slices
from pacs_sdk.integration.itk.rescale import Linear
from pacs_sdk.integration.itk.slice_metadata import metadata_of
from pacs_sdk.integration.itk.stack import SliceStack, stack_slices
from pacs_sdk.integration.itk.value_notes import notes_on_values, unit_of
from pacs_sdk.integration.itk.volume import VolumeAxis

__all__ = ["VolumeMemory", "assemble", "numpy_memory"]


def numpy_memory(
    geometry: VolumeGeometry, dtype: np.dtype[Any], volumes: int | None, samples: int
) -> NDArray[Any]:
    """Make room for a volume by NumPy."""
    leading = () if volumes is None else (volumes,)
    trailing = (samples,) if samples > 1 else ()
    return np.empty((*leading, *geometry.size[::-1], *trailing), dtype)


@attrs.frozen(eq=False)
class _Pieces:
    """What a volume is made of."""

    found: SeparatedVolumes
    """Its slices, one at each place."""
    stack: SliceStack
    """How they lie."""
    filled: FilledVolume
    """Their values, before they are shaped: those of resampling still as stored."""
    grid: GridValues
    """Their values as they lie in the grid."""


def assemble(
    chosen: FoundVolume,
    skipped: Sequence[Skipped],
    options: LoadOptions,
    memory: VolumeMemory,
) -> LoadedVolume:
    """Decode the slices of a volume into one array.

    Args:
        chosen: The volume.
        skipped: What was left out before, for the report.
        options: The policies.
        memory: Makes room for the array.

    Raises:
        PacsException: ``SERIES_NOT_LOADABLE``, ``PIXEL_DATA_FAILED``, ``LIMIT_EXCEEDED``,
            ``INVALID_ARGUMENT`` or what reading gives, naming the file.
    """
    found, duplicates = without_duplicates(chosen.slices, options)
    if found.axis is not None and options.on_same_position == "error":
        raise _several_volumes(found)
    _check_same_places(found)
    unreadable: list[Skipped] = []
    while True:
        stack = stack_slices(found.volumes[0], options)
        try:
            pieces = _pieces(found, stack, options, memory)
        except SlicesFailedError as exc:
            unreadable += [
                Skipped(one.name, error.error.message.removeprefix(f"{one.name}: "))
                for one, error in exc.failures
            ]
            found = _without(found, exc.failures)
            continue
        pieces.grid.array.flags.writeable = False
        left_out = (*skipped, *unreadable)
        return _loaded(pieces, duplicates, left_out, options)


def _several_volumes(found: SeparatedVolumes) -> PacsException:
    axis = found.axis
    labels = () if axis is None else axis.labels
    shown = "; ".join(labels[:8])
    return PacsException(
        ErrorCode.SERIES_NOT_LOADABLE,
        f"there are {len(labels)} images of each place ({shown}{'; …' if len(labels) > 8 else ''}); "
        "on_same_position='stack' makes a 4-D array of them",
        path=found.volumes[1][0].name,
        volumes=labels,
    )


def _check_same_places(found: SeparatedVolumes) -> None:
    """Refuse volumes of one axis whose slices are moved within their plane."""
    if len(found.volumes) == 1:
        return
    first = found.volumes[0]
    places = np.array([one.position for one in first])
    tolerance = POSITION_TOLERANCE * min(first[0].kind.pixel_spacing)
    for volume in found.volumes[1:]:
        apart = np.linalg.norm(np.array([one.position for one in volume]) - places, axis=1)
        worst = int(apart.argmax())
        if apart[worst] > tolerance:
            raise not_loadable(
                volume[worst].name,
                "ImagePositionPatient",
                f"is {apart[worst]:.4g} mm beside that of {first[worst].name}, an image of another "
                "time, echo or b-value: the volumes have no one grid",
            )


def _without(
    found: SeparatedVolumes, failures: Sequence[tuple[ImageSlice, PacsException]]
) -> SeparatedVolumes:
    """Leave out slices that failed; of a 4-D array the volumes they are in.

    Raises:
        PacsException: That of the first failure, where nothing is left.
    """
    failed = {id(one) for one, _ in failures}
    if found.axis is None:
        left = tuple(one for one in found.volumes[0] if id(one) not in failed)
        if not left:
            raise failures[0][1]
        return attrs.evolve(found, volumes=(left,))
    kept = [
        index
        for index, volume in enumerate(found.volumes)
        if not any(id(one) in failed for one in volume)
    ]
    if not kept:
        raise failures[0][1]
    axis = VolumeAxis(found.axis.keywords, tuple(found.axis.values[index] for index in kept))
    return attrs.evolve(found, volumes=tuple(found.volumes[index] for index in kept), axis=axis)


# -- values -----------------------------------------------------------------------------------


def _pieces(
    found: SeparatedVolumes, stack: SliceStack, options: LoadOptions, memory: VolumeMemory
) -> _Pieces:
    volumes = None if found.axis is None else len(found.volumes)
    slices = [one for volume in found.volumes for one in volume]
    samples = 3 if slices[0].kind.is_colour else 1
    made: list[NDArray[Any]] = []

    def allocate(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        made.clear()  # one of a type that turned out too narrow
        if stack.resampling is not None:
            made.append(np.empty(shape, dtype))
        else:
            made.append(memory(stack.geometry, dtype, volumes, samples))
        return made[0].reshape(shape)

    per_volume = len(stack.places)
    filled_places = [place for place, number in enumerate(stack.places) if number is not None]
    places = [
        volume * per_volume + place
        for volume in range(len(found.volumes))
        for place in filled_places
    ]
    count = per_volume * len(found.volumes)
    filled = fill_slices(slices, places, count, allocate, options)
    if stack.resampling is None:
        grid = fill_gaps(made[0], filled, stack, options)
    else:
        grid = resampled(filled, stack, stack.resampling, volumes, options, memory)
    if grid.mask is not None:
        shape = grid.array.shape[: grid.array.ndim - (samples > 1)]
        grid = attrs.evolve(grid, mask=grid.mask.reshape(shape))
    return _Pieces(found, stack, filled, grid)


# -- the result -------------------------------------------------------------------------------


def _loaded(
    pieces: _Pieces,
    duplicates: tuple[Skipped, ...],
    skipped: tuple[Skipped, ...],
    options: LoadOptions,
) -> LoadedVolume:
    placed = _placed(pieces)
    sources = tuple(
        SliceSource("made up", "")
        if len(one) == 3
        else SliceSource(one[0].name, one[0].sop_instance_uid, one[0].frame)
        for one in placed
    )
    return LoadedVolume(
        pieces.grid.array,
        pieces.stack.geometry,
        axis=pieces.found.axis,
        sources=sources,
        report=_report(pieces, duplicates, skipped, options),
        metadata=metadata_of(pieces.found.volumes[0][0], placed),
        mask=pieces.grid.mask,
    )


def _placed(pieces: _Pieces) -> list[tuple[ImageSlice, Linear] | PointMm]:
    """Say for each slice of the array where it came from."""
    stack = pieces.stack
    numbers: Sequence[int | None] = stack.places
    if stack.resampling is not None:
        numbers = nearest_slices(stack.resampling, stack.geometry)
    placed: list[tuple[ImageSlice, Linear] | PointMm] = []
    linears = pieces.filled.linears
    for index, volume in enumerate(pieces.found.volumes):
        for place, number in enumerate(numbers):
            if number is None:
                placed.append(stack.geometry.point_of((0, 0, place)))
            else:
                placed.append((volume[number], linears[index * len(volume) + number]))
    return placed


def _report(
    pieces: _Pieces,
    duplicates: tuple[Skipped, ...],
    skipped: tuple[Skipped, ...],
    options: LoadOptions,
) -> SeriesReport:
    found, stack, filled = pieces.found, pieces.stack, pieces.filled
    first = found.volumes[0][0]
    actions = pieces.grid.actions
    if options.monochrome1 == "invert" and first.kind.photometric == "MONOCHROME1":
        actions += ("MONOCHROME1 inverted within the range of Bits Stored",)
    if filled.padding_voxels:
        done = "masked" if options.padding == "mask" else f"made {options.padding:g}"
        actions += (f"{filled.padding_voxels} voxels of padding {done}",)
    axis = found.axis
    unit, unit_notes = unit_of(found, options)
    return SeriesReport(
        series_instance_uid=first.kind.series_instance_uid,
        modality=first.text("Modality"),
        description=first.text("SeriesDescription"),
        geometry=stack.geometry,
        sort_key="ImagePositionPatient (0020,0032) along the normal of the slices",
        spacing=stack.spacing,
        rescale=filled.rescale,
        value_type=pieces.grid.array.dtype.name,
        value_range=pieces.grid.value_range,
        value_unit=unit,
        duplicates=duplicates,
        skipped=skipped,
        gaps=stack.gaps,
        tilt_degrees=stack.tilt_degrees,
        volume_labels=() if axis is None else axis.labels,
        actions=actions,
        notes=(
            *stack.notes,
            *found.notes,
            *filled.notes,
            *notes_on_values(found, options),
            *unit_notes,
        ),
    )
