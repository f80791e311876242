"""Series of one modality, with the values that it is known for."""

from __future__ import annotations

from typing import Any, Final, Unpack

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.core.element import VALUE_ERRORS
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.encoding.instance import Instance
from pacs_sdk.integration.itk.load import load_series
from pacs_sdk.integration.itk.loaded import ImageOnce, LoadedSeries
from pacs_sdk.integration.itk.options import LoadOptions, LoadSettings
from pacs_sdk.integration.itk.sources import SeriesSource, find_objects
from pacs_sdk.integration.modality.hounsfield import check_hounsfield
from pacs_sdk.integration.pet import SuvScale, SuvType, suv_scales

__all__ = ["load_ct_series", "load_mr_series", "load_pet_series"]

_ERRORS: Final = VALUE_ERRORS | {
    FileNotFoundError: ErrorCode.FILE_NOT_FOUND,
    OSError: ErrorCode.FILE_READ_FAILED,
}

_SAME_FACTOR: Final = 1e-6
"""How far, relatively, factors of slices may differ and yet be one: times are whole seconds."""


@edge(_ERRORS)
def load_ct_series(
    source: SeriesSource, options: LoadOptions | None = None, **settings: Unpack[LoadSettings]
) -> LoadedSeries:
    """Load the only CT series of a source, in Hounsfield units.

    Args:
        source: As of :func:`load_series`; images of other modalities in it don't matter.
        options: As of :func:`load_series`.
        **settings: The fields of :class:`LoadOptions`; ``series_instance_uid`` chooses among
            several CT series.

    Returns:
        ``Success``; or ``Failure`` with ``INVALID_ARGUMENT`` where Rescale Type says that the
        values are no Hounsfield units, or as :func:`load_series`.
    """
    chosen = attrs.evolve(options or LoadOptions(), **settings)
    series = raised(load_series(_of_modality(source, chosen, "CT"), chosen))
    check_hounsfield(series.report.modality, series.metadata.text("RescaleType"))
    return series


@edge(_ERRORS)
def load_mr_series(
    source: SeriesSource, options: LoadOptions | None = None, **settings: Unpack[LoadSettings]
) -> LoadedSeries:
    """Load the only MR series of a source; its values have no unit.

    Args:
        source: As of :func:`load_series`; images of other modalities in it don't matter.
        options: As of :func:`load_series`.
        **settings: The fields of :class:`LoadOptions`; ``series_instance_uid`` chooses among
            several MR series, ``rescale`` says what becomes of the slope that some scanners
            state.

    Returns:
        ``Success``, or ``Failure`` as :func:`load_series`.
    """
    chosen = attrs.evolve(options or LoadOptions(), **settings)
    return raised(load_series(_of_modality(source, chosen, "MR"), chosen))


@edge(_ERRORS)
def load_pet_series(
    source: SeriesSource,
    options: LoadOptions | None = None,
    *,
    suv: SuvType | str | None = SuvType.BW,
    **settings: Unpack[LoadSettings],
) -> LoadedSeries:
    """Load the only PET series of a source as standardized uptake values.

    Args:
        source: As of :func:`load_series`; images of other modalities in it don't matter.
        options: As of :func:`load_series`.
        suv: What the SUV is related to, as of :func:`suv_scale`: ``"BW"``, ``"LBMJANMA"``,
            ``"LBMJAMES128"`` or ``"BSA"``; ``None`` leaves the values as they are, mostly Bq/ml.
        **settings: The fields of :class:`LoadOptions`; ``series_instance_uid`` chooses among
            several PET series.

    Returns:
        ``Success`` with ``float32`` values, their unit and what they were computed from in the
        report; or ``Failure`` as :func:`suv_scale`, naming the attribute that is missing or
        wrong; with ``INVALID_ARGUMENT`` for options that SUV cannot be computed with (stored
        values, or resampling where each slice has a factor of its own); or as
        :func:`load_series`.
    """
    kind = None if suv is None else SuvType.named(suv)
    chosen = attrs.evolve(options or LoadOptions(), **settings)
    if kind is not None and chosen.rescale != "stated":
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"rescale={chosen.rescale!r} gives no activity, of which SUV are computed: leave it "
            "out, or take suv=None",
        )
    instances = _of_modality(source, chosen, "PT")
    series = raised(load_series(instances, chosen))
    return series if kind is None else _as_suv(series, instances, kind)


def _of_modality(source: SeriesSource, options: LoadOptions, modality: str) -> list[Instance]:
    """Return the instances of a modality, or those of the series that was asked for."""
    wanted_series = options.series_instance_uid
    found, _ = find_objects(
        source, series_instance_uid=wanted_series, query=options.query, strict=False
    )
    wanted = [
        one.instance
        for one in found
        if one.header.text("Modality") == modality
        and wanted_series in (None, one.header.text("SeriesInstanceUID"))
    ]
    if not wanted:
        there = sorted({one.header.text("Modality") or "none" for one in found})
        asked = f" in series {wanted_series}" if wanted_series else ""
        raise PacsException(
            ErrorCode.SERIES_NOT_LOADABLE,
            f"there is no {modality} image{asked}; the modalities are: "
            f"{', '.join(there) or 'none, there is no DICOM object'}",
        )
    return wanted


def _as_suv(series: LoadedSeries, instances: list[Instance], kind: SuvType) -> LoadedSeries:
    """Multiply each slice by its own factor."""
    headers = {one.sop_instance_uid: one for one in instances}
    used = list(dict.fromkeys(uid for uid in series.sop_instance_uids if uid))
    datasets = [raised(headers[uid].dataset(until="PixelData")) for uid in used]
    scales = dict(zip(used, raised(suv_scales(datasets, kind)), strict=True))
    first = scales[used[0]]
    # A slice that was made up to fill a gap has the factor of the first.
    factors = np.array([scales.get(uid, first).factor for uid in series.sop_instance_uids])
    one_factor = bool(np.ptp(factors) <= _SAME_FACTOR * factors[0])
    if series.report.actions and not one_factor:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            "each slice has a factor to SUV of its own, and values of several were put together "
            f"({series.report.actions[0]}): load it without that, or take suv=None",
        )
    peak = max(map(abs, series.report.value_range)) * float(factors.max())
    if peak > float(np.finfo(np.float32).max):
        raise PacsException(
            ErrorCode.VALUE_CONVERSION_FAILED,
            f"the SUV would be {peak:g}: a weight, dose or slope is absurd ({first.words})",
        )
    array = _scaled(series.array, factors)
    array.flags.writeable = False
    report = attrs.evolve(
        series.report,
        rescale=f"{series.report.rescale}; {_words(factors, first, one_factor=one_factor)}",
        value_type=array.dtype.name,
        value_range=(float(array.min()), float(array.max())),
        value_unit=kind.unit,
    )
    return attrs.evolve(series, array=array, report=report, image=ImageOnce())


def _scaled(array: NDArray[Any], factors: NDArray[np.float64]) -> NDArray[np.float32]:
    """Multiply slice by slice, in double precision and rounded once, without a large copy."""
    scaled = np.empty(array.shape, np.float32)
    planes = array.reshape(-1, *array.shape[-2:])
    for plane, out, factor in zip(planes, scaled.reshape(planes.shape), factors, strict=True):
        np.multiply(plane, factor, out=out, dtype=np.float64, casting="same_kind")
    return scaled


def _words(factors: NDArray[np.float64], first: SuvScale, *, one_factor: bool) -> str:
    low, high = float(factors.min()), float(factors.max())
    times = f"× {low:.6g}" if one_factor else f"each slice its own, × {low:.6g} to {high:.6g}"
    return f"SUV ({first.suv_type}): {times}, {first.words}"
