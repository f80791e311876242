"""A volume that one object holds."""

from __future__ import annotations

from typing import Final, Literal

import attrs

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.integration.itk.volume import Volume
from pacs_sdk.integration.preview import montage_preview
from pacs_sdk.integration.windows import Window, named_window

__all__ = ["ObjectVolume", "unloadable"]

_MOST_FRAMES: Final = 20
"""How many frames a montage has at most."""


@attrs.frozen(eq=False, repr=False)
class ObjectVolume(Volume):
    """A volume out of one DICOM object: a dose grid, a detector's frames, a cine loop."""

    name: str = attrs.field(kw_only=True)
    """What it is, such as ``"detector 1, energy window 2"``."""
    unit: str = attrs.field(default="", kw_only=True)
    """What the values measure, where the object says so."""
    frames: tuple[int, ...] = attrs.field(kw_only=True)
    """The frame of each slice, from 0, in the order of the array: of a 4-D one volume by
    volume. Empty after resampling."""
    sop_instance_uid: str = attrs.field(kw_only=True)
    """The object."""
    dataset: DicomDataset = attrs.field(kw_only=True)
    """All its attributes but the pixels."""
    in_patient: bool = attrs.field(default=True, kw_only=True)
    """Whether the geometry is in the patient. Otherwise only the spacing within a frame means
    something, and not even that where a note says so."""
    notes: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """What a careful reader should know."""

    @edge()
    def at(self, index: int) -> ObjectVolume:
        """Return one volume of a 4-D array, without copying; see :meth:`Volume.at`."""
        array = raised(Volume.at(self, index)).array
        count = len(self.frames) // self.volume_count
        first = index % self.volume_count * count
        frames = self.frames[first : first + count]
        return attrs.evolve(self, array=array, axis=None, frames=frames)

    @edge()
    def preview(
        self, window: Window | str | None = None, layout: Literal["planes", "montage"] = "planes"
    ) -> bytes:
        """Draw the volume; see :meth:`Volume.preview`.

        Frames without a place in the patient are drawn as they are, without letters: the middle
        one, or several in rows.

        Args:
            window: As of :meth:`Volume.preview`.
            layout: As of :meth:`Volume.preview`.

        Returns:
            ``Success`` with a PNG file, or ``Failure`` with ``INVALID_ARGUMENT``.
        """
        if self.in_patient:
            return raised(Volume.preview(self, window, layout))
        frames = self._grey(self.array).reshape(-1, *self.geometry.size[1::-1])
        chosen = named_window(window) if isinstance(window, str) else window
        return raised(
            montage_preview(
                frames,
                self.geometry.spacing,
                chosen or self._usual_window(frames),
                1 if layout == "planes" else _MOST_FRAMES,
                letters=False,
            )
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {self._facts()}>"


def unloadable(name: str, words: str) -> PacsException:
    """Make the error of an object that cannot become a volume."""
    return PacsException(ErrorCode.SERIES_NOT_LOADABLE, f"{name}: {words}", path=name)
