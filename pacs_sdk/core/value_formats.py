"""How text of each VR is written (PS3.5 6.2), and how keys of a query are (PS3.4 C.2.2.2).

Each format is a function that returns what is wrong, in words, or nothing.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Final

from pacs_sdk.core.vr import VR

__all__ = ["FORMATS", "RANGES"]

_AGE: Final = re.compile(r"[0-9]{3}[DWMY]")
_DATE: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_CLOCK: Final = r"([01][0-9]|2[0-3])(?:([0-5][0-9])(?:([0-5][0-9]|60)(?:\.[0-9]{1,6})?)?)?"
_TIME: Final = re.compile(rf"{_CLOCK} *")
_DATE_TIME: Final = re.compile(
    rf"([0-9]{{4}})(?:([0-9]{{2}})(?:([0-9]{{2}})(?:{_CLOCK})?)?)?([+-][0-9]{{4}})? *"
)
_DECIMAL: Final = re.compile(r" *[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[Ee][+-]?[0-9]+)? *")
_INTEGER: Final = re.compile(r" *[+-]?[0-9]{1,64} *")
_UID: Final = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+")
_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_IS_RANGE: Final = range(-(2**31), 2**31)


def _title(text: str) -> str:
    return "" if text.strip(" ") else "an AE title is more than spaces"


def _age(text: str) -> str:
    return "" if _AGE.fullmatch(text) else "an age is three digits and D, W, M or Y"


def _date(text: str) -> str:
    found = _DATE.fullmatch(text)
    if found is None:
        return "a date is eight digits, YYYYMMDD"
    return "" if _is_day(int(found[1]), int(found[2]), int(found[3])) else "there is no such date"


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        dt.date(year, month, day)
    except ValueError:
        return False
    return True


def _time(text: str) -> str:
    return "" if _TIME.fullmatch(text) else "a time is HHMMSS.FFFFFF, cut behind any part"


def _date_time(text: str) -> str:
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return "a date time is YYYYMMDDHHMMSS.FFFFFF&ZZXX, cut behind any part"
    if not _is_day(int(found[1]), int(found[2] or 1), int(found[3] or 1)):
        return "there is no such date"
    offset = found[7]
    if offset is not None and not _is_offset(offset):
        return "an offset from UTC lies between -1200 and +1400, and is not -0000"
    return ""


def _is_offset(offset: str) -> bool:
    """Whether it is an offset from UTC (PS3.5 Table 6.2-1, DT)."""
    hours, minutes = int(offset[1:3]), int(offset[3:])
    total = (hours * 60 + minutes) * (-1 if offset[0] == "-" else 1)
    return minutes <= 59 and -12 * 60 <= total <= 14 * 60 and offset != "-0000"


def _decimal(text: str) -> str:
    return "" if _DECIMAL.fullmatch(text) else "a decimal string is a number, as -1.5 or 1.5E-3"


def _integer(text: str) -> str:
    if _INTEGER.fullmatch(text) is None:
        return "an integer string is digits, with a sign or without"
    return "" if int(text) in _IS_RANGE else "the number takes more than 32 bits"


def _uid(text: str) -> str:
    return (
        ""
        if _UID.fullmatch(text)
        else "a UID is numbers without leading zeros, at least two, with dots between"
    )


def _uri(text: str) -> str:
    if text.startswith(" "):
        return "a URI has no leading spaces"
    bare = text.rstrip(" ")
    if " " in bare or _PERCENT.search(bare):
        return "a URI writes spaces and percent signs as %20 and %25 (RFC 3986)"
    return ""


def _person_name(text: str) -> str:
    groups = text.split("=")
    if len(groups) > 3:
        return "a person name has at most three component groups"
    if any(group.count("^") > 4 for group in groups):
        return "a component group has at most five components"
    return ""


FORMATS: Final[dict[VR, Callable[[str], str]]] = {
    VR.AE: _title,
    VR.AS: _age,
    VR.DA: _date,
    VR.DS: _decimal,
    VR.DT: _date_time,
    VR.IS: _integer,
    VR.PN: _person_name,
    VR.TM: _time,
    VR.UI: _uid,
    VR.UR: _uri,
}
"""The formats that single values have."""


# -- ranges ----------------------------------------------------------------------------


def _range_of(single: Callable[[str], str], what: str) -> Callable[[str], str]:
    """Make the format of a key that is a value or a range (PS3.4 C.2.2.2.5).

    ``FROM-TO``, ``FROM-`` or ``-TO``. The hyphen may also be the sign of an offset from
    UTC, so that each of them is tried.
    """

    def check(text: str) -> str:
        alone = single(text)
        if not alone or "-" not in text:
            return alone
        for found in re.finditer("-", text):
            ends = text[: found.start()].strip(" "), text[found.end() :].strip(" ")
            if any(ends) and not any(single(end) for end in ends if end):
                return ""
        return f"a range is FROM-TO, FROM- or -TO, where either is {what}"

    return check


RANGES: Final[dict[VR, tuple[int, Callable[[str], str]]]] = {
    VR.DA: (18, _range_of(_date, "a date, YYYYMMDD")),
    VR.TM: (28, _range_of(_time, "a time, HHMMSS.FFFFFF, cut behind any part")),
    VR.DT: (54, _range_of(_date_time, "a date time, YYYYMMDDHHMMSS.FFFFFF&ZZXX")),
}
"""The most bytes of a key with range matching (PS3.5 Table 6.2-1), and its format."""
