"""From the headers of a volume's slices to the volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.integration.itk.duplicates import without_duplicates
from pacs_sdk.integration.itk.fill import (
    FilledVolume,
    SlicesFailedError,
    checked_value,
    fill_slices,
)
from pacs_sdk.integration.itk.geometry import POSITION_TOLERANCE, PointMm, VolumeGeometry
from pacs_sdk.integration.itk.grouping import FoundVolume
from pacs_sdk.integration.itk.image_slice import ImageSlice, not_loadable
from pacs_sdk.integration.itk.loaded import LoadedVolume, SliceSource
from pacs_sdk.integration.itk.options import LoadOptions
from pacs_sdk.integration.itk.places import SeparatedVolumes
from pacs_sdk.integration.itk.report import SeriesReport, Skipped
from pacs_sdk.integration.itk.resample import interpolate_gaps, nearest_slices, resample
from pacs_sdk.integration.itk.rescale import Linear
from pacs_sdk.integration.itk.slice_metadata import metadata_of
from pacs_sdk.integration.itk.stack import SliceStack, stack_slices
from pacs_sdk.integration.itk.volume import VolumeAxis

__all__ = ["VolumeMemory", "assemble", "numpy_memory"]


class VolumeMemory(Protocol):
    """Makes room for a volume."""

    def __call__(
        self, geometry: VolumeGeometry, dtype: np.dtype[Any], volumes: int | None, samples: int
    ) -> NDArray[Any]:
        """Return a writable, contiguous array ([volumes,] slices, rows, columns[, samples]).

        Raises:
            MemoryError: There is none.
        """


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
    array: NDArray[Any]
    """The finished values."""
    mask: NDArray[np.bool_] | None
    """Where they are no padding."""
    actions: tuple[str, ...]
    """What was done beyond the rescaling."""
    value_range: tuple[float, float]
    """The smallest and the largest value."""


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
        pieces.array.flags.writeable = False
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
        actions, value_range = _fill_gaps(filled, stack, len(found.volumes), options)
        array, mask = made[0], filled.mask
    else:
        array, mask = _resampled(filled, stack, volumes, options, memory)
        actions, value_range = (stack.resampling.reason,), filled.value_range
    if mask is not None:
        mask = mask.reshape(array.shape[: array.ndim - (samples > 1)])
    return _Pieces(found, stack, filled, array, mask, actions, value_range)


def _fill_gaps(
    filled: FilledVolume, stack: SliceStack, volumes: int, options: LoadOptions
) -> tuple[tuple[str, ...], tuple[float, float]]:
    """Give the places that no slice fills their values."""
    low, high = filled.value_range
    gaps = [place for place, number in enumerate(stack.places) if number is None]
    if not gaps:
        return (), (low, high)
    value = low if options.fill_value is None else options.fill_value
    exact = checked_value(value, filled.array.dtype, "fill_value")
    per_volume = len(stack.places)
    for volume in range(volumes):
        part = slice(volume * per_volume, (volume + 1) * per_volume)
        if options.on_gap == "interpolate":
            interpolate_gaps(filled.array[part], stack.places)
        else:
            filled.array[part][gaps] = exact
        if filled.mask is not None:
            filled.mask[part][gaps] = False
    if options.on_gap == "interpolate":
        return (f"{len(gaps)} slices interpolated between their neighbours",), (low, high)
    words = f"{len(gaps)} slices filled with {exact:g}"
    return (words,), (min(low, float(exact)), max(high, float(exact)))


def _resampled(
    filled: FilledVolume,
    stack: SliceStack,
    volumes: int | None,
    options: LoadOptions,
    memory: VolumeMemory,
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    resampling, stored = stack.resampling, filled.array
    if resampling is None:
        return stored, filled.mask
    samples = stored.shape[3] if stored.ndim == 4 else 1
    needed = int(np.prod(stack.geometry.size)) * samples * (volumes or 1) * stored.dtype.itemsize
    if needed > options.max_volume_bytes:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED,
            f"the resampled volume takes {needed} bytes, the limit is "
            f"{options.max_volume_bytes} (max_volume_bytes=)",
            limit=options.max_volume_bytes,
        )
    value = filled.value_range[0] if options.fill_value is None else options.fill_value
    outside = checked_value(value, stored.dtype, "fill_value")
    out = memory(stack.geometry, stored.dtype, volumes, samples)
    flat = out.reshape((volumes or 1, *stack.geometry.size[::-1], *stored.shape[3:]))
    mask = None
    if filled.mask is not None:
        mask = np.empty(flat.shape[:4], np.bool_)
    per_volume = len(stack.places)
    for volume, room in enumerate(flat):
        part = slice(volume * per_volume, (volume + 1) * per_volume)
        resample(
            stored[part],
            resampling,
            stack.geometry,
            room,
            interpolation=options.interpolation,
            fill_value=outside,
        )
        if mask is not None and filled.mask is not None:
            resample(
                filled.mask[part],
                resampling,
                stack.geometry,
                mask[volume],
                interpolation="nearest",
                fill_value=0,
            )
    return out, mask


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
        pieces.array,
        pieces.stack.geometry,
        axis=pieces.found.axis,
        sources=sources,
        report=_report(pieces, duplicates, skipped, options),
        metadata=metadata_of(pieces.found.volumes[0][0], placed),
        mask=pieces.mask,
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
    actions = pieces.actions
    if options.monochrome1 == "invert" and first.kind.photometric == "MONOCHROME1":
        actions += ("MONOCHROME1 inverted within the range of Bits Stored",)
    if filled.padding_voxels:
        done = "masked" if options.padding == "mask" else f"made {options.padding:g}"
        actions += (f"{filled.padding_voxels} voxels of padding {done}",)
    axis = found.axis
    return SeriesReport(
        series_instance_uid=first.kind.series_instance_uid,
        modality=first.text("Modality"),
        description=first.text("SeriesDescription"),
        geometry=stack.geometry,
        sort_key="ImagePositionPatient (0020,0032) along the normal of the slices",
        spacing=stack.spacing,
        rescale=filled.rescale,
        value_type=pieces.array.dtype.name,
        value_range=pieces.value_range,
        value_unit=_unit(first, options),
        duplicates=duplicates,
        skipped=skipped,
        gaps=stack.gaps,
        tilt_degrees=stack.tilt_degrees,
        volume_labels=() if axis is None else axis.labels,
        actions=actions,
        notes=(*stack.notes, *found.notes, *_notes(found, options)),
    )


def _unit(first: ImageSlice, options: LoadOptions) -> str:
    if options.rescale != "stated" or first.kind.is_colour:
        return ""
    unit = first.text("RescaleType") or first.text("Units")
    if first.text("Modality") == "CT" and not unit and first.kind.rescale_stated:
        return "HU"  # what Rescale Type means in a CT image where it is absent (PS3.3 C.8.2.1)
    return unit


def _notes(found: SeparatedVolumes, options: LoadOptions) -> list[str]:
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
    return notes
