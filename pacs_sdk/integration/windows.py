"""Windows that are usual for a modality, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = ["WINDOW_PRESETS", "Window", "named_window", "usual_window"]

Window: TypeAlias = tuple[float, float]
"""Window Center and Window Width (PS3.3 C.11.2.1.2), in the unit of the values."""

WINDOW_PRESETS: Final[Mapping[str, Window]] = MappingProxyType(
    {
        "soft tissue": (40.0, 400.0),
        "mediastinum": (50.0, 350.0),
        "lung": (-600.0, 1500.0),
        "bone": (400.0, 1800.0),
        "brain": (40.0, 80.0),
        "liver": (60.0, 160.0),
        "angiography": (300.0, 600.0),
        "uptake": (4.0, 8.0),
    }
)
"""Centre and width by name: in Hounsfield units, and ``uptake`` in SUV, which
shows 0 to 7 (a window's ends are half a unit inside, PS3.3 C.11.2.1.2.1)."""


def named_window(name: str) -> Window:
    """Return the window of a name.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` with the names there are.
    """
    found = WINDOW_PRESETS.get(name.lower())
    if found is None:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"there is no window {name!r}; there are {', '.join(WINDOW_PRESETS)}",
        )
    return found


def usual_window(modality: str, unit: str) -> Window | None:
    """Return what is looked at first: soft tissue in CT, uptake in PET as SUV, else nothing."""
    if modality == "CT" and unit in ("", "HU"):
        return WINDOW_PRESETS["soft tissue"]
    if modality == "PT" and "SUV" in unit:
        return WINDOW_PRESETS["uptake"]
    return None
