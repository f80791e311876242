"""What a caller may give as the value of an element, made into what is kept.

Only the kind is checked here, and that numbers fit; how text has to be written is checked
for a data set as a whole, where the mode says what becomes of findings.
"""

from __future__ import annotations

import datetime as dt
import math
import sys
from decimal import Decimal
from typing import Any, Final, cast

import numpy as np
from pydicom.multival import MultiValue
from pydicom.valuerep import PersonName, format_number_as_ds

from pacs_sdk.core.tags import DicomTag, TagLike
from pacs_sdk.core.value_rules import validate_value, values_in
from pacs_sdk.core.vr import VR, VrKind

__all__ = ["decimal_text", "settable_value"]

_SMALLEST_NORMAL: Final = Decimal(sys.float_info.min)
_LARGEST_NORMAL: Final = Decimal(sys.float_info.max)
_LONGEST_DS: Final = 16


def settable_value(vr: VR, value: object) -> object:
    """Return a value as it is kept: of any VR but SQ.

    Args:
        vr: The VR.
        value: One value, or a list, tuple or array of them. Dates and times of Python
            become text, and decimal numbers the 16 characters that a DS has; for AT,
            anything that names a tag.

    Raises:
        TypeError: A value is not of the kind that the VR has.
        ValueError: A number is outside the range of the VR, or several values are given
            where it has one.
    """
    if isinstance(value, np.ndarray) and vr.kind is not VrKind.BYTES:
        value = value.tolist()
    several = isinstance(value, list | tuple | MultiValue)
    if several and len(value) > 1 and not vr.rule.multiple:  # type: ignore[arg-type]  # a list
        raise ValueError(f"{vr} has one value and not {len(value)}")  # type: ignore[arg-type]
    if vr.kind is VrKind.BYTES:
        return _bytes(vr, value[0] if several and value else value)  # type: ignore[index]
    if vr.kind is VrKind.TEXT:
        if not several:
            return None if value is None else _text(vr, value)
        return [_one_of_several(vr, one) for one in value]  # type: ignore[attr-defined]
    return _numbers(vr, value)


def _bytes(vr: VR, value: object) -> object:
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str | list | tuple) and not value:
        return b""
    raise TypeError(f"{vr} holds bytes, not {type(value).__name__}")


def _numbers(vr: VR, value: object) -> object:
    values = [one.item() if isinstance(one, np.generic) else one for one in values_in(vr, value)]
    for fault in validate_value(vr, values):
        raise ValueError(fault.reason)
    if vr is VR.AT:
        values = [int(DicomTag.of(cast("TagLike", one))) for one in values]
    if len(values) == 1:
        return values[0]
    return values or None


def _one_of_several(vr: VR, value: object) -> object:
    if value is None:
        return ""
    kept = _text(vr, value)
    if vr.rule.multiple and isinstance(kept, str) and "\\" in kept:
        raise ValueError(f"one value of {vr} has no backslash, which separates values")
    return kept


def _text(vr: VR, value: Any) -> object:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return value
    if isinstance(value, PersonName) and vr is VR.PN:
        return value
    text = _number_text(vr, value) or _time_text(vr, value)
    if not text:
        raise TypeError(f"{vr} holds no {type(value).__name__}")
    return text


def _number_text(vr: VR, value: Any) -> str:
    if vr not in (VR.DS, VR.IS) or not isinstance(value, int | float | Decimal):
        return ""
    if not math.isfinite(value):
        raise ValueError(f"{vr} has no infinity and no NaN")
    if vr is VR.DS:
        return decimal_text(value)
    if value != int(value):
        raise ValueError("IS holds whole numbers")
    text = str(int(value))
    for fault in validate_value(vr, text):
        raise ValueError(fault.reason)
    return text


def _time_text(vr: VR, value: Any) -> str:
    """Write a date or time of Python; fractions of a second where there are any."""
    if vr is VR.DA and isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return f"{value.year:04d}{value:%m%d}"
    fraction = f".{value.microsecond:06d}" if getattr(value, "microsecond", 0) else ""
    if vr is VR.TM and isinstance(value, dt.time):
        return f"{value:%H%M%S}{fraction}"
    if vr is VR.DT and isinstance(value, dt.datetime):
        return f"{value.year:04d}{value:%m%d%H%M%S}{fraction}{value:%z}"
    return ""


def decimal_text(value: int | float | Decimal) -> str:
    """Write a finite number in at most 16 characters, exactly if that is enough."""
    exact = str(value)
    if len(exact) <= _LONGEST_DS:
        return exact
    number = Decimal(value)
    if _SMALLEST_NORMAL <= abs(number) <= _LARGEST_NORMAL:
        return format_number_as_ds(number)
    # Beyond what a float can be, which is what pydicom rounds with. An exponent has nine
    # digits at most, so that some digits of the number fit.
    scientific = (f"{number:.{digits}E}" for digits in range(_LONGEST_DS, -1, -1))
    return next(text for text in scientific if len(text) <= _LONGEST_DS)
