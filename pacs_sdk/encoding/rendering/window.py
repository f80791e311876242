"""Windows: which values are shown between black and white (PS3.3 C.11.2.1.2, C.11.2.1.3)."""

from __future__ import annotations

import enum
import math
from typing import Final

import attrs
import numpy as np

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.encoding.rendering.mapping import map_values

__all__ = ["VoiFunction", "Window", "apply_window", "grey_levels"]

_LARGEST_EXPONENT: Final = 700.0
"""Of e, in the range of float64; the function is 0 or 1 in 8 bits long before that."""


class VoiFunction(enum.StrEnum):
    """VOI LUT Function (0028,1056): how a window's values become grey (PS3.3 C.11.2.1.3)."""

    LINEAR = "LINEAR"
    """The default; the window ends half a value inside (PS3.3 C.11.2.1.2.1)."""
    LINEAR_EXACT = "LINEAR_EXACT"
    """From center − width / 2 to center + width / 2 (PS3.3 C.11.2.1.3.2)."""
    SIGMOID = "SIGMOID"
    """Without ends (PS3.3 C.11.2.1.3.1)."""


def _function(named: VoiFunction | str) -> VoiFunction:
    try:
        return VoiFunction(named)
    except ValueError:
        raise _no_window(f"{named!r} is not one of {', '.join(VoiFunction)}") from None


@attrs.frozen
class Window:
    """Window Center and Window Width, with the function they are parameters of.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` for a width below 1 with LINEAR or not above 0
            with the others, numbers that are not finite, or an unknown function.
    """

    center: float = attrs.field(converter=float)
    """Window Center (0028,1050), in the unit that the Modality LUT gives."""
    width: float = attrs.field(converter=float)
    """Window Width (0028,1051)."""
    function: VoiFunction = attrs.field(default=VoiFunction.LINEAR, converter=_function)
    """VOI LUT Function (0028,1056)."""
    explanation: str = ""
    """Window Center & Width Explanation (0028,1055)."""

    def __attrs_post_init__(self) -> None:
        if not (math.isfinite(self.center) and math.isfinite(self.width)):
            raise _no_window(f"{self.center}/{self.width} has to have finite numbers")
        if self.function is VoiFunction.LINEAR and self.width < 1:
            raise _no_window(
                f"the width of a LINEAR window is at least 1 (PS3.3 C.11.2.1.2), not {self.width}"
            )
        if self.width <= 0:
            raise _no_window(f"the width is above 0 (PS3.3 C.11.2.1.3), not {self.width}")

    def fraction(self, values: np.ndarray) -> np.ndarray:
        """Return the output for each value as float64 from 0 to 1; that of NaN is 0.

        Args:
            values: Numbers, as the Modality LUT gives them.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            fraction = self._unbounded(values.astype(np.float64))
        np.clip(fraction, 0.0, 1.0, out=fraction)
        if values.dtype.kind == "f":
            np.nan_to_num(fraction, copy=False, nan=0.0)
        return fraction

    def _unbounded(self, values: np.ndarray) -> np.ndarray:
        if self.function is VoiFunction.SIGMOID:
            exponent = (values - self.center) * (-4.0 / self.width)
            limited = np.clip(exponent, -_LARGEST_EXPONENT, _LARGEST_EXPONENT)
            sigmoid: np.ndarray = 1.0 / (1.0 + np.exp(limited))
            return sigmoid
        exact = self.function is VoiFunction.LINEAR_EXACT
        middle = self.center if exact else self.center - 0.5
        span = self.width if exact else self.width - 1.0
        values -= middle
        if span == 0.0:  # LINEAR of width 1: black up to the middle, white above it
            return (values > 0.0).astype(np.float64)
        values /= span
        values += 0.5
        return values

    def __str__(self) -> str:
        words = f"window {self.center:g}/{self.width:g} {self.function}"
        return f"{words} ({self.explanation})" if self.explanation else words


@edge()
def apply_window(values: np.ndarray, window: Window) -> np.ndarray:
    """Map values to grey levels by a window (PS3.3 C.11.2.1.2, C.11.2.1.3).

    Args:
        values: Whole or real numbers of any shape, such as :func:`modality_values` gives.
        window: The window. Its method ``fraction`` gives the output before it is rounded
            to 8 bits.

    Returns:
        ``Success`` with an array of uint8 of the same shape, 0 is black; or ``Failure``
        with ``INVALID_ARGUMENT`` for values that are no real numbers.
    """
    if values.dtype.kind not in "biuf":
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT, f"a window maps real numbers, not {values.dtype}"
        )
    return map_values(values, lambda some: grey_levels(window.fraction(some)))


def grey_levels(fraction: np.ndarray) -> np.ndarray:
    """Round from 0 to 1 to 8 bits, half a level upwards."""
    return (fraction * 255.0 + 0.5).astype(np.uint8)


def _no_window(reason: str) -> PacsException:
    return PacsException(ErrorCode.INVALID_ARGUMENT, f"no window: {reason}")
