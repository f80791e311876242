"""What was seen in a series and done to make a volume of it."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from pacs_sdk.integration.itk.geometry import PointMm, SpacingStatistics, VolumeGeometry

__all__ = ["Gap", "SeriesReport", "Skipped"]

_MOST_SKIPPED_ROWS: Final = 20
"""How many skipped objects the printed table names; the attribute has all of them."""
_MOST_LABELS: Final = 8
"""How many volumes of a 4-D array the printed table names."""


@attrs.frozen
class Skipped:
    """Something that is not in the volume."""

    name: str
    """The file, or the SOP Instance UID of an object in memory."""
    reason: str
    """Why it was left out."""


@attrs.frozen
class Gap:
    """A place where slices are missing."""

    after: str
    """The name of the slice before the gap."""
    before: str
    """The name of the slice behind it."""
    missing: int
    """How many slices of the usual step are missing."""
    step_mm: float
    """The distance of the two slices, along the normal."""
    position: PointMm
    """Image Position (Patient) of the slice before the gap, mm."""
    index: int
    """The number of the slice before the gap, among the slices that are there, from 0."""

    def __str__(self) -> str:
        at = ", ".join(f"{coordinate:g}" for coordinate in self.position)
        return (
            f"{self.missing} after {self.after} at ({at}) mm, before {self.before}, "
            f"a step of {self.step_mm:.6g} mm"
        )


@attrs.frozen
class SeriesReport:
    """How a volume was made; ``print(report)`` shows it as a table."""

    series_instance_uid: str
    """The series."""
    modality: str
    """Modality (0008,0060)."""
    description: str
    """Series Description (0008,103E)."""
    geometry: VolumeGeometry
    """The volume's grid in patient coordinates."""
    sort_key: str
    """What decided the order of the slices."""
    spacing: SpacingStatistics | None
    """The measured distances between slices; ``None`` for a single slice."""
    rescale: str
    """How stored values became the volume's values."""
    value_type: str
    """The type of the volume's values, as NumPy names it."""
    value_range: tuple[float, float]
    """The smallest and the largest value of the volume."""
    value_unit: str
    """What the values measure, such as HU, where the series says so."""
    duplicates: tuple[Skipped, ...] = ()
    """Images that were dropped because the volume has the same image already."""
    skipped: tuple[Skipped, ...] = ()
    """Files and objects that are no part of the series, or could not be read."""
    gaps: tuple[Gap, ...] = ()
    """Missing slices, where filling them was asked for."""
    tilt_degrees: float = 0.0
    """The gantry tilt that the positions show, in degrees; 0 for slices right above one
    another."""
    volume_labels: tuple[str, ...] = ()
    """What tells the volumes of a 4-D array apart; none for a single volume."""
    actions: tuple[str, ...] = ()
    """What was done to the values or the grid beyond the rescaling: filled, resampled, masked,
    inverted."""
    notes: tuple[str, ...] = ()
    """What a careful reader should know, such as a spacing that could not be measured."""

    @property
    def slice_count(self) -> int:
        """How many slices the volume has."""
        return self.geometry.size[2]

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield the report as rows of two texts."""
        size, spacing = self.geometry.size, self.geometry.spacing
        yield "Series", self.series_instance_uid
        yield "Kind", " ".join(filter(None, (self.modality, self.description))) or "not said"
        yield "Size", " × ".join(str(count) for count in size) + " (columns × rows × slices)"
        yield "Spacing", f"{_joined(spacing, ' × ')} mm"
        yield "Origin", f"({_joined(self.geometry.origin)}) mm, LPS"
        for axis, name in enumerate(("Column axis", "Row axis", "Slice axis")):
            yield name, f"({_joined(self.geometry.direction[axis::3])})"
        yield "Slice order", self.sort_key
        if self.spacing is not None:
            yield "Slice steps", _steps(self.spacing)
        if self.tilt_degrees:
            yield "Tilt", f"{self.tilt_degrees:.3f}°"
        if self.volume_labels:
            yield "Volumes", f"{len(self.volume_labels)}: {_shortened(self.volume_labels)}"
        yield "Values", self._values()
        yield "Rescale", self.rescale
        for gap in self.gaps:
            yield "Gap", str(gap)
        for action in self.actions:
            yield "Done", action
        yield from _listed("Duplicate", self.duplicates)
        yield from _listed("Skipped", self.skipped)
        for note in self.notes:
            yield "Note", note

    def _values(self) -> str:
        low, high = self.value_range
        unit = f" {self.value_unit}" if self.value_unit else ""
        return f"{low:g} to {high:g}{unit}, {self.value_type}"

    def __str__(self) -> str:
        rows = list(self.rows())
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)

    def _repr_html_(self) -> str:
        """Show the report as a table in a notebook."""
        cells = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>"
            for name, text in self.rows()
        )
        return f"<table>{cells}</table>"


def _joined(numbers: Sequence[float], separator: str = ", ") -> str:
    return separator.join(f"{number + 0.0:.6g}" for number in numbers)


def _shortened(labels: tuple[str, ...]) -> str:
    shown = "; ".join(labels[:_MOST_LABELS])
    return shown if len(labels) <= _MOST_LABELS else f"{shown}; …"


def _steps(spacing: SpacingStatistics) -> str:
    return (
        f"{spacing.smallest:.6g} to {spacing.largest:.6g} mm "
        f"(jitter {spacing.jitter:.2g}), off their place by at most "
        f"{spacing.largest_displacement:.2g} mm along and {spacing.largest_shift:.2g} mm across"
    )


def _listed(name: str, skipped: tuple[Skipped, ...]) -> Iterator[tuple[str, str]]:
    for one in skipped[:_MOST_SKIPPED_ROWS]:
        yield name, f"{one.name}: {one.reason}"
    if len(skipped) > _MOST_SKIPPED_ROWS:
        yield name, f"and {len(skipped) - _MOST_SKIPPED_ROWS} more"
