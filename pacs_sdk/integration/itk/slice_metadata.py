"""From the slices of a volume to what its attributes say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import overload

import attrs

from pacs_sdk.core.results import raised
from pacs_sdk.encoding.datasets.header import InstanceHeader
from pacs_sdk.integration.itk.geometry import PointMm
from pacs_sdk.integration.itk.image_slice import ImageSlice
from pacs_sdk.integration.itk.loaded import SliceSource
from pacs_sdk.integration.itk.metadata import SeriesMetadata, SliceMetadata
from pacs_sdk.integration.itk.rescale import Linear

__all__ = ["metadata_of"]


def metadata_of(
    first: ImageSlice, placed: Sequence[tuple[ImageSlice, Linear] | PointMm]
) -> SeriesMetadata:
    """Describe slices by their headers and the data set of the first.

    Args:
        first: The first slice that is there.
        placed: For each slice of the array where it came from and how it was rescaled, or the
            position of one that was made up.

    Raises:
        PacsException: What decoding the first slice's header gives.
    """
    dataset = raised(first.instance.dataset(until="PixelData"))
    return SeriesMetadata(dataset, _Rows(tuple(_Row.of(one) for one in placed)))


@attrs.frozen(eq=False)
class _Row:
    """What a row is made of. The object itself, which may hold its pixels, is let go."""

    source: SliceSource
    position: PointMm
    header: InstanceHeader | None
    attributes: Mapping[str, str]
    linear: Linear

    @classmethod
    def of(cls, placed: tuple[ImageSlice, Linear] | PointMm) -> _Row:
        if len(placed) == 3:
            return cls(SliceSource("made up", ""), placed, None, {}, Linear(1.0, 0.0))
        one, linear = placed
        source = SliceSource(one.name, one.sop_instance_uid, one.frame)
        return cls(source, one.position, one.found.header, one.attributes, linear)

    def text(self, keyword: str) -> str:
        said = self.attributes.get(keyword)
        return said or ("" if self.header is None else self.header.text(keyword))

    def numbers(self, keyword: str) -> tuple[float, ...]:
        try:
            return tuple(float(text) for text in self.text(keyword).split("\\") if text)
        except ValueError:
            return ()

    def number(self, keyword: str) -> float | None:
        return next(iter(self.numbers(keyword)), None)

    def whole(self, keyword: str) -> int | None:
        number = self.number(keyword)
        return int(number) if number is not None and number.is_integer() else None

    def metadata(self) -> SliceMetadata:
        gradient = self.numbers("DiffusionGradientOrientation")
        return SliceMetadata(
            name=self.source.name,
            sop_instance_uid=self.source.sop_instance_uid,
            frame=self.source.frame,
            position=self.position,
            instance_number=self.whole("InstanceNumber"),
            acquisition_number=self.whole("AcquisitionNumber"),
            acquisition_time=self.text("AcquisitionTime"),
            content_time=self.text("ContentTime"),
            temporal_position=self.whole("TemporalPositionIdentifier"),
            trigger_time_ms=self.number("TriggerTime"),
            echo_time_ms=self.number("EchoTime"),
            b_value=self.number("DiffusionBValue"),
            gradient=(gradient[0], gradient[1], gradient[2]) if len(gradient) == 3 else None,
            slope=self.linear.slope,
            intercept=self.linear.intercept,
        )


class _Rows(Sequence[SliceMetadata]):
    """The table of slices, each row made when it is looked at."""

    def __init__(self, rows: tuple[_Row, ...]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> SliceMetadata: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[SliceMetadata]: ...

    def __getitem__(self, index: int | slice) -> SliceMetadata | Sequence[SliceMetadata]:
        if isinstance(index, slice):
            return tuple(row.metadata() for row in self._rows[index])
        return self._rows[index].metadata()
