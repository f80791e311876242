"""What the attributes of a loaded series say: common ones typed, and a table of slices."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any, Final

import attrs

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.html_table import html_table
from pacs_sdk.integration.itk.geometry import PointMm

__all__ = ["SeriesMetadata", "SliceMetadata"]

_MOST_ROWS: Final = 60
"""How many slices the printed table has at most."""


@attrs.frozen
class SliceMetadata:
    """One slice of a volume: which it is, where it lies, and what may differ in each."""

    name: str
    """The file, or the SOP Instance UID of an object in memory."""
    sop_instance_uid: str
    """The instance it came from; empty where it was made up to fill a gap."""
    frame: int
    """Its frame in the instance, from 0."""
    position: PointMm
    """Image Position (Patient): the centre of its first voxel, mm."""
    instance_number: int | None = None
    """Instance Number (0020,0013)."""
    acquisition_number: int | None = None
    """Acquisition Number (0020,0012)."""
    acquisition_time: str = ""
    """Acquisition Time (0008,0032), as it is written."""
    content_time: str = ""
    """Content Time (0008,0033), as it is written."""
    temporal_position: int | None = None
    """Temporal Position Identifier (0020,0100)."""
    trigger_time_ms: float | None = None
    """Trigger Time (0018,1060), ms."""
    echo_time_ms: float | None = None
    """Echo Time (0018,0081), ms."""
    b_value: float | None = None
    """Diffusion b-value, s/mm²."""
    gradient: tuple[float, float, float] | None = None
    """Diffusion Gradient Orientation: a unit vector in patient coordinates."""
    slope: float = 1.0
    """Rescale Slope as it was applied."""
    intercept: float = 0.0
    """Rescale Intercept as it was applied."""


@attrs.frozen(eq=False, repr=False)
class SeriesMetadata:
    """Attributes of a series, taken from its first slice, and the table of its slices."""

    dataset: DicomDataset
    """All attributes of the first slice but its pixels."""
    slices: Sequence[SliceMetadata]
    """The slices in the order of the array, of a 4-D one volume by volume."""

    # -- patient and study ---------------------------------------------------------------

    @property
    def patient_id(self) -> str:
        """Patient ID (0010,0020)."""
        return self.text("PatientID")

    @property
    def patient_name(self) -> str:
        """Patient's Name (0010,0010)."""
        return self.text("PatientName")

    @property
    def patient_sex(self) -> str:
        """Patient's Sex (0010,0040): M, F or O."""
        return self.text("PatientSex")

    @property
    def patient_birth_date(self) -> dt.date | None:
        """Patient's Birth Date (0010,0030)."""
        return self.date("PatientBirthDate")

    @property
    def patient_weight_kg(self) -> float | None:
        """Patient's Weight (0010,1030), kg."""
        return self.number("PatientWeight")

    @property
    def patient_size_m(self) -> float | None:
        """Patient's Size (0010,1020), m."""
        return self.number("PatientSize")

    @property
    def patient_position(self) -> str:
        """Patient Position (0018,5100), such as HFS."""
        return self.text("PatientPosition")

    @property
    def study_instance_uid(self) -> str:
        """Study Instance UID (0020,000D)."""
        return self.text("StudyInstanceUID")

    @property
    def study_date(self) -> dt.date | None:
        """Study Date (0008,0020)."""
        return self.date("StudyDate")

    @property
    def study_description(self) -> str:
        """Study Description (0008,1030)."""
        return self.text("StudyDescription")

    @property
    def accession_number(self) -> str:
        """Accession Number (0008,0050)."""
        return self.text("AccessionNumber")

    # -- series and equipment ------------------------------------------------------------

    @property
    def sop_class_uid(self) -> str:
        """SOP Class UID (0008,0016)."""
        return self.text("SOPClassUID")

    @property
    def series_instance_uid(self) -> str:
        """Series Instance UID (0020,000E)."""
        return self.text("SeriesInstanceUID")

    @property
    def frame_of_reference_uid(self) -> str:
        """Frame of Reference UID (0020,0052)."""
        return self.text("FrameOfReferenceUID")

    @property
    def series_number(self) -> int | None:
        """Series Number (0020,0011)."""
        return self.whole("SeriesNumber")

    @property
    def series_description(self) -> str:
        """Series Description (0008,103E)."""
        return self.text("SeriesDescription")

    @property
    def modality(self) -> str:
        """Modality (0008,0060)."""
        return self.text("Modality")

    @property
    def image_type(self) -> tuple[str, ...]:
        """Image Type (0008,0008)."""
        return self.dataset.get_strings("ImageType").value_or(())

    @property
    def protocol_name(self) -> str:
        """Protocol Name (0018,1030)."""
        return self.text("ProtocolName")

    @property
    def body_part_examined(self) -> str:
        """Body Part Examined (0018,0015)."""
        return self.text("BodyPartExamined")

    @property
    def manufacturer(self) -> str:
        """Manufacturer (0008,0070)."""
        return self.text("Manufacturer")

    @property
    def manufacturer_model_name(self) -> str:
        """Manufacturer's Model Name (0008,1090)."""
        return self.text("ManufacturerModelName")

    # -- acquisition ---------------------------------------------------------------------

    @property
    def slice_thickness_mm(self) -> float | None:
        """Slice Thickness (0018,0050), mm; it says nothing about the distance of slices."""
        return self.number("SliceThickness")

    @property
    def kvp(self) -> float | None:
        """KVP (0018,0060), kV."""
        return self.number("KVP")

    @property
    def convolution_kernel(self) -> str:
        """Convolution Kernel (0018,1210)."""
        return self.text("ConvolutionKernel")

    @property
    def repetition_time_ms(self) -> float | None:
        """Repetition Time (0018,0080), ms."""
        return self.number("RepetitionTime")

    @property
    def echo_time_ms(self) -> float | None:
        """Echo Time (0018,0081), ms."""
        return self.number("EchoTime")

    @property
    def flip_angle_degrees(self) -> float | None:
        """Flip Angle (0018,1314), degrees."""
        return self.number("FlipAngle")

    @property
    def magnetic_field_strength_t(self) -> float | None:
        """Magnetic Field Strength (0018,0087), T."""
        return self.number("MagneticFieldStrength")

    # -- any attribute -------------------------------------------------------------------

    def text(self, keyword: str) -> str:
        """Return an attribute of the first slice as text, empty where it is absent."""
        return self.dataset.get_string(keyword).value_or("")

    def number(self, keyword: str) -> float | None:
        """Return an attribute's first number, ``None`` where there is none."""
        return next(iter(self.dataset.get_floats(keyword).value_or(())), None)

    def whole(self, keyword: str) -> int | None:
        """Return an attribute's first whole number, ``None`` where there is none."""
        return next(iter(self.dataset.get_ints(keyword).value_or(())), None)

    def date(self, keyword: str) -> dt.date | None:
        """Return an attribute's date, ``None`` where there is none."""
        return self.dataset.get_date(keyword).value_or(None)

    # -- the table of slices -------------------------------------------------------------

    def records(self) -> list[dict[str, Any]]:
        """Return the slices as dictionaries, such as ``pandas.DataFrame`` takes them."""
        return [attrs.asdict(one) for one in self.slices]

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the table of slices as texts, its heading first, without empty columns."""
        names = [field.name for field in attrs.fields(SliceMetadata)]
        filled = [
            name
            for name in names
            if any(getattr(one, name) not in (None, "") for one in self.slices)
        ]
        yield ("slice", *filled)
        for number, one in enumerate(self.slices):
            yield (str(number), *(_shown(getattr(one, name)) for name in filled))

    def __str__(self) -> str:
        rows = list(self.rows())
        shown = rows[: _MOST_ROWS + 1]
        widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in shown
        ]
        if len(rows) > len(shown):
            lines.append(f"and {len(rows) - len(shown)} more slices")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<SeriesMetadata {self.modality}: {len(self.slices)} slices>"

    def _repr_html_(self) -> str:
        """Show the table of slices in a notebook."""
        heading, *rows = self.rows()
        return html_table(heading, rows)


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return "\\".join(f"{number:g}" for number in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
