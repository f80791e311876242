"""A PET series as SUV: the factor of each slice is a part of its rescaling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import attrs
import numpy as np

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.integration.itk.assemble import assemble, numpy_memory
from pacs_sdk.integration.itk.choose import choose_series, choose_volume
from pacs_sdk.integration.itk.grouping import FoundVolume, read_slices, volumes_of
from pacs_sdk.integration.itk.image_slice import ImageSlice
from pacs_sdk.integration.itk.load import SharedMemory, load_series, series_of
from pacs_sdk.integration.itk.loaded import ImageOnce, LoadedSeries
from pacs_sdk.integration.itk.options import LoadOptions
from pacs_sdk.integration.itk.report import Skipped
from pacs_sdk.integration.itk.sitk_image import simple_itk
from pacs_sdk.integration.itk.sources import FoundObject
from pacs_sdk.integration.pet import SuvScale, SuvType, suv_scales

__all__ = ["load_suv"]

_SAME_FACTOR: Final = 1e-6
"""How far, relatively, factors of slices may differ and yet be one: times are whole seconds."""
_LARGEST: Final = float(np.finfo(np.float32).max)


def load_suv(
    found: Sequence[FoundObject], skipped: Sequence[Skipped], kind: SuvType, options: LoadOptions
) -> LoadedSeries:
    """Load the only series of PET images as SUV.

    Slope and intercept of each slice are multiplied by its factor before anything is decoded.
    So values are rounded once, what is put in for padding or a missing slice is SUV, and slices
    that are interpolated between have the same unit, whatever their factors.

    Args:
        found: The images.
        skipped: What was left out before, for the report.
        kind: What the SUV is related to.
        options: As of :func:`load_series`, values as they are stated.

    Raises:
        PacsException: As :func:`load_pet_series` fails.
    """
    simple_itk()
    series, others = choose_series(found, options.series_instance_uid)
    slices, unusable = read_slices(series.objects, options)
    if not slices:  # which has no reason to give: loading it has
        return raised(load_series([one.instance for one in found], options))
    chosen, left_out = choose_volume(volumes_of(slices), options)
    scales = _scales(chosen, kind)
    shared = SharedMemory() if options.image_memory == "shared" else None
    volume = assemble(
        _scaled(chosen, scales),
        (*skipped, *others, *unusable, *left_out),
        options,
        shared or numpy_memory,
    )
    return _named(series_of(volume, shared), list(scales.values()), kind)


def _scales(chosen: FoundVolume, kind: SuvType) -> dict[int, SuvScale]:
    """Compute the factor of each object, by the identity of :class:`FoundObject`."""
    objects = {id(one.found): one.instance for one in chosen.images()}
    headers = [raised(one.dataset(until="PixelData")) for one in objects.values()]
    return dict(zip(objects, raised(suv_scales(headers, kind)), strict=True))


def _scaled(chosen: FoundVolume, scales: Mapping[int, SuvScale]) -> FoundVolume:
    """Multiply what rescales each slice by its factor."""
    scaled = {id(one): _times(one, scales[id(one.found)].factor) for one in chosen.images()}
    found = chosen.slices
    slices = attrs.evolve(
        found,
        volumes=tuple(tuple(scaled[id(one)] for one in volume) for volume in found.volumes),
        copies=tuple((scaled[id(kept)], scaled[id(copy)]) for kept, copy in found.copies),
        clashes=tuple(tuple(scaled[id(one)] for one in clash) for clash in found.clashes),
    )
    return attrs.evolve(chosen, slices=slices)


def _times(one: ImageSlice, factor: float) -> ImageSlice:
    kind = attrs.evolve(
        one.kind, slope=one.kind.slope * factor, intercept=one.kind.intercept * factor
    )
    return attrs.evolve(one, kind=kind)


def _named(series: LoadedSeries, scales: Sequence[SuvScale], kind: SuvType) -> LoadedSeries:
    """Say in the report what the values are, and hold them in single precision."""
    report, first = series.report, scales[0]
    peak = max(map(abs, report.value_range))
    if peak > _LARGEST:
        raise PacsException(
            ErrorCode.VALUE_CONVERSION_FAILED,
            f"the SUV would be {peak:g}: a weight, dose or slope is absurd ({first.words})",
        )
    if series.array.dtype != np.float32:  # slopes that stayed whole, or more than 24 bits
        array = series.array.astype(np.float32)
        array.flags.writeable = False
        series = attrs.evolve(series, array=array, image=ImageOnce())
    named = attrs.evolve(
        report,
        rescale=f"{report.rescale}; in it {_words(scales)}",
        value_type=series.array.dtype.name,
        value_unit=kind.unit,
    )
    return attrs.evolve(series, report=named)


def _words(scales: Sequence[SuvScale]) -> str:
    factors = [one.factor for one in scales]
    low, high = min(factors), max(factors)
    one_factor = high - low <= _SAME_FACTOR * low
    times = f"× {low:.6g}" if one_factor else f"each slice its own, × {low:.6g} to {high:.6g}"
    return f"SUV ({scales[0].suv_type}): {times}, {scales[0].words}"
