"""From the slices of a volume to what its attributes say."""

from __future__ import annotations

from collections.abc import Sequence

from pacs_sdk.core.results import raised
from pacs_sdk.integration.itk.image_slice import ImageSlice
from pacs_sdk.integration.itk.metadata import SeriesMetadata, SliceMetadata

__all__ = ["metadata_of"]


def metadata_of(slices: Sequence[ImageSlice]) -> SeriesMetadata:
    """Describe slices by their headers and the data set of the first.

    Args:
        slices: At least one, in the order of the array.

    Raises:
        PacsException: What decoding the first slice's header gives.
    """
    dataset = raised(slices[0].instance.dataset(until="PixelData"))
    return SeriesMetadata(dataset, tuple(map(_row, slices)))


def _row(one: ImageSlice) -> SliceMetadata:
    gradient = one.found.header.floats("DiffusionGradientOrientation")
    return SliceMetadata(
        name=one.name,
        sop_instance_uid=one.sop_instance_uid,
        frame=0,
        position=one.position,
        instance_number=one.found.header.integer("InstanceNumber"),
        acquisition_number=one.found.header.integer("AcquisitionNumber"),
        acquisition_time=one.text("AcquisitionTime"),
        content_time=one.text("ContentTime"),
        temporal_position=one.found.header.integer("TemporalPositionIdentifier"),
        trigger_time_ms=one.number("TriggerTime"),
        echo_time_ms=one.number("EchoTime"),
        b_value=one.number("DiffusionBValue"),
        gradient=(gradient[0], gradient[1], gradient[2]) if len(gradient) == 3 else None,
        slope=one.slope,
        intercept=one.intercept,
    )
