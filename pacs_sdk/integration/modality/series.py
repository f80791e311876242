"""Series of one modality, with the values that it is known for."""

from __future__ import annotations

from typing import Final, Unpack

import attrs

from pacs_sdk.core.element import VALUE_ERRORS
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.encoding.datasets.header import InstanceHeader
from pacs_sdk.integration.itk.load import LOADING_ERRORS, load_series
from pacs_sdk.integration.itk.loaded import LoadedSeries
from pacs_sdk.integration.itk.options import LoadOptions, LoadSettings
from pacs_sdk.integration.itk.report import Skipped
from pacs_sdk.integration.itk.rescale import NONE_STATED
from pacs_sdk.integration.itk.sources import FoundObject, SeriesSource, find_objects
from pacs_sdk.integration.modality.hounsfield import check_hounsfield
from pacs_sdk.integration.modality.suv_series import load_suv
from pacs_sdk.integration.pet import SuvType

__all__ = ["load_ct_series", "load_mr_series", "load_pet_series"]

_ERRORS: Final = VALUE_ERRORS | LOADING_ERRORS


@edge(_ERRORS)
def load_ct_series(
    source: SeriesSource, options: LoadOptions | None = None, **settings: Unpack[LoadSettings]
) -> LoadedSeries:
    """Load the only CT series of a source, in Hounsfield units.

    Args:
        source: As of :func:`load_series`; images of other modalities in it don't matter, but are
            listed as skipped. A file that cannot be read may be one of them or a slice:
            ``strict`` decides, as there.
        options: As of :func:`load_series`.
        **settings: The fields of :class:`LoadOptions`; ``series_instance_uid`` chooses among
            several CT series.

    Returns:
        ``Success``; or ``Failure`` with ``INVALID_ARGUMENT`` where Rescale Type says that the
        values are no Hounsfield units, or as :func:`load_series`.
    """
    chosen = attrs.evolve(options or LoadOptions(), **settings)
    series = _loaded(source, chosen, "CT")
    check_hounsfield(series.report.modality, series.metadata.text("RescaleType"))
    if chosen.rescale == "stated" and series.report.value_unit != "HU":
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"{_why_no_hounsfield(series)}, so there are no Hounsfield units",
        )
    return series


def _why_no_hounsfield(series: LoadedSeries) -> str:
    """Say what keeps the values of a CT series from being Hounsfield units."""
    if series.report.value_unit:
        return f"Rescale Type (0028,1054) is {series.report.value_unit}"
    if series.report.rescale.startswith(NONE_STATED):
        return "Rescale Slope (0028,1053) is missing"
    return "Rescale Type (0028,1054) is not the same in all slices"


@edge(_ERRORS)
def load_mr_series(
    source: SeriesSource, options: LoadOptions | None = None, **settings: Unpack[LoadSettings]
) -> LoadedSeries:
    """Load the only MR series of a source; its values have no unit.

    Args:
        source: As of :func:`load_ct_series`.
        options: As of :func:`load_series`.
        **settings: The fields of :class:`LoadOptions`; ``series_instance_uid`` chooses among
            several MR series, ``rescale`` says what becomes of the slope that some scanners
            state.

    Returns:
        ``Success``, or ``Failure`` as :func:`load_series`.
    """
    chosen = attrs.evolve(options or LoadOptions(), **settings)
    return _loaded(source, chosen, "MR")


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
        source: As of :func:`load_ct_series`.
        options: As of :func:`load_series`.
        suv: What the SUV is related to, as of :func:`suv_scale`: ``"BW"``, ``"LBMJANMA"``,
            ``"LBMJAMES128"`` or ``"BSA"``; ``None`` leaves the values as they are, mostly Bq/ml.
        **settings: The fields of :class:`LoadOptions`; ``series_instance_uid`` chooses among
            several PET series. ``padding`` and ``fill_value`` are SUV.

    Returns:
        ``Success`` with ``float32`` values, their unit and what they were computed from in the
        report; or ``Failure`` as :func:`suv_scale`, naming the attribute that is missing or
        wrong; with ``INVALID_ARGUMENT`` for stored values, of which no SUV can be computed; or
        as :func:`load_series`.
    """
    kind = None if suv is None else SuvType.named(suv)
    chosen = attrs.evolve(options or LoadOptions(), **settings)
    if kind is not None and chosen.rescale != "stated":
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"rescale={chosen.rescale!r} gives no activity, of which SUV are computed: leave it "
            "out, or take suv=None",
        )
    if kind is None:
        return _loaded(source, chosen, "PT")
    found, skipped = _of_modality(source, chosen, "PT")
    return load_suv(found, skipped, kind, chosen)


def _loaded(source: SeriesSource, options: LoadOptions, modality: str) -> LoadedSeries:
    """Load a series of a modality; what was left out on the way to it is in the report."""
    found, skipped = _of_modality(source, options, modality)
    series = raised(load_series([one.instance for one in found], options))
    report = attrs.evolve(series.report, skipped=(*skipped, *series.report.skipped))
    return attrs.evolve(series, report=report)


def _of_modality(
    source: SeriesSource, options: LoadOptions, modality: str
) -> tuple[list[FoundObject], list[Skipped]]:
    """Return the objects of a modality, or those of the series that was asked for.

    Returns:
        The objects, and everything else with the reason why it is left out.

    Raises:
        PacsException: What :func:`find_objects` raises; ``SERIES_NOT_LOADABLE`` where there is
            no such object.
    """
    wanted_series = options.series_instance_uid
    found, skipped = find_objects(
        source, series_instance_uid=wanted_series, query=options.query, strict=options.strict
    )
    wanted = []
    for one in found:
        reason = _why_not(one.header, modality, wanted_series)
        if reason:
            skipped.append(Skipped(one.name, reason))
        else:
            wanted.append(one)
    if not wanted:
        there = sorted({one.header.text("Modality") or "none" for one in found})
        asked = f" in series {wanted_series}" if wanted_series else ""
        raise PacsException(
            ErrorCode.SERIES_NOT_LOADABLE,
            f"there is no {modality} image{asked}; the modalities are: "
            f"{', '.join(there) or 'none, there is no DICOM object'}",
        )
    return wanted, skipped


def _why_not(header: InstanceHeader, modality: str, wanted_series: str | None) -> str:
    """Say why an object is not wanted; empty where it is."""
    its = header.text("Modality")
    if its != modality:
        return f"Modality (0008,0060) is {its or 'empty'}, not {modality}"
    series = header.text("SeriesInstanceUID")
    return "" if wanted_series in (None, series) else f"of another series, {series}"
