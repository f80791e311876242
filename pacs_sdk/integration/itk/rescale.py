"""From stored values to real ones: which linear function, by the policy."""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Sequence
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.integration.itk.image_slice import ImageSlice, not_loadable
from pacs_sdk.integration.itk.options import LoadOptions

__all__ = ["NONE_STATED", "Linear", "linear_of", "rescale_words"]

NONE_STATED: Final = "none stated"
"""How the words begin where no image says how it is rescaled."""

_PHILIPS_CREATOR: Final = 0x20050010
_PHILIPS_SCALE_SLOPE: Final = 0x2005100E


@attrs.frozen
class Linear:
    """Value = stored value × slope + intercept."""

    slope: float
    """The factor, not 0."""
    intercept: float
    """The value of a stored 0."""

    @property
    def is_whole(self) -> bool:
        """Whether whole numbers stay whole."""
        return self.slope.is_integer() and self.intercept.is_integer()

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes."""
        return self.slope == 1 and self.intercept == 0


def linear_of(one: ImageSlice, options: LoadOptions) -> Linear:
    """Return what makes a slice's stored values real ones (PS3.3 C.11.1.1.2).

    Raises:
        PacsException: ``SERIES_NOT_LOADABLE`` for a Modality LUT, or where MONOCHROME1 is
            refused, or Philips's scale slope is asked for and absent.
    """
    kind = one.kind
    if kind.is_colour or options.rescale == "none":
        slope, intercept = 1.0, 0.0
    elif kind.has_modality_lut and not kind.rescale_stated:
        raise not_loadable(
            one.name,
            "ModalityLUTSequence",
            "maps its values by a table; only slope and intercept are applied "
            "(rescale='none' gives stored values)",
        )
    else:
        slope, intercept = kind.slope, kind.intercept
        if options.rescale == "philips":
            scale = _philips_scale(one)
            slope, intercept = 1 / scale, intercept / (slope * scale)
    if kind.photometric == "MONOCHROME1":
        if options.monochrome1 == "error":
            raise not_loadable(
                one.name,
                "PhotometricInterpretation",
                "is MONOCHROME1: low values are shown bright",
            )
        if options.monochrome1 == "invert":
            intercept += slope * sum(kind.stored_range)
            slope = -slope
    return Linear(slope, intercept)


def _philips_scale(one: ImageSlice) -> float:
    """Return (2005,100E), the scale slope of the block Philips MR Imaging DD 001.

    The floating point value of Philips's MR images is (stored × Rescale Slope + Rescale
    Intercept) / (Rescale Slope × scale slope) (Chenevert et al., Transl Oncol 2014;7:65).
    """
    header = one.instance.header((_PHILIPS_CREATOR, _PHILIPS_SCALE_SLOPE)).value_or(None)
    raw = {} if header is None else header.raw
    value = raw.get(_PHILIPS_SCALE_SLOPE, b"")
    ours = raw.get(_PHILIPS_CREATOR, b"").strip(b" \0") == b"Philips MR Imaging DD 001"
    if ours and len(value) == 4 and header is not None:
        order = "<" if header.little_endian else ">"
        scale: float = struct.unpack(f"{order}f", value)[0]
        if math.isfinite(scale) and scale > 0:
            return scale
    raise PacsException(
        ErrorCode.SERIES_NOT_LOADABLE,
        f"{one.name}: there is no scale slope (2005,100E) in a block of Philips MR Imaging "
        "DD 001, which rescale='philips' needs",
        path=one.name,
        tag="(2005,100E)",
    )


def rescale_words(
    slices: Sequence[ImageSlice], linears: Sequence[Linear], *, exact: bool, options: LoadOptions
) -> str:
    """Say what was done, for the report.

    Args:
        slices: The slices.
        linears: What was applied to each.
        exact: Whether in whole numbers.
        options: Which policy decided.
    """
    if slices[0].kind.is_colour:
        return "none: colour, 8 bits a sample"
    if options.rescale == "none":
        return "none: stored values, as asked for"
    pairs = Counter(linears)
    if len(pairs) > 1:
        slopes = [pair.slope for pair in pairs]
        words = (
            f"each slice its own: {len(pairs)} pairs, slopes {min(slopes):.6g} to {max(slopes):.6g}"
        )
    elif any(one.kind.rescale_stated for one in slices) or not linears[0].is_identity:
        (only,) = pairs
        sign = "−" if only.intercept < 0 else "+"
        words = f"stored × {only.slope:.12g} {sign} {abs(only.intercept):.12g}"
    else:
        words = NONE_STATED
    return f"{words}, in {'whole numbers' if exact else 'double precision'}"
