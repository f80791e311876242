"""Values in the form they are searched in: names folded, dates and times at full length."""

from __future__ import annotations

import re
from typing import Final

from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = ["date_bounds", "folded_name", "full_time", "time_bounds"]

_DATE: Final = re.compile(r"\d{8}|\d{4}\.\d{2}\.\d{2}", re.ASCII)
_TIME: Final = re.compile(r"\d{2}(?::?\d{2}(?::?\d{2}(?:\.\d{1,6})?)?)?", re.ASCII)


def folded_name(name: str) -> str:
    """Fold a person's name for comparison.

    Case is ignored, and so are empty components at the end of a component group, which
    mean nothing (PS3.5 6.2.1.1): ``Doe^John^^`` is ``doe^john``.
    """
    return "=".join(group.rstrip("^ ") for group in name.casefold().split("=")).rstrip("=")


def full_time(time: str) -> str:
    """Write a time with all its digits: ``10`` and ``1000`` are both ``100000.000000``.

    Anything that is no time (PS3.5 Table 6.2-1, TM) stays as it is.
    """
    if not _TIME.fullmatch(time):
        return time
    digits, _, fraction = time.replace(":", "").partition(".")
    return f"{digits.ljust(6, '0')}.{fraction.ljust(6, '0')}"


def date_bounds(text: str, keyword: str) -> tuple[str | None, str | None]:
    """Read a date or a range of dates (PS3.4 C.2.2.2.5).

    Returns:
        The first and the last date that match, ``None`` for an open end.

    Raises:
        PacsException: ``FIND_INVALID_IDENTIFIER`` when it is neither.
    """
    first, last = _ends(text, _DATE, keyword, "a date (YYYYMMDD) or a range of dates")
    return (
        None if first is None else first.replace(".", ""),
        None if last is None else last.replace(".", ""),
    )


def time_bounds(text: str, keyword: str) -> tuple[str | None, str | None]:
    """Read a time or a range of times, in the form of :func:`full_time`.

    The end of a range covers all it leaves open: ``-12`` ends at 12:59:59.999999.
    """
    first, last = _ends(text, _TIME, keyword, "a time (HHMMSS) or a range of times")
    is_range = "-" in text
    return (
        None if first is None else full_time(first),
        None if last is None else (_upper(last) if is_range else full_time(last)),
    )


def _upper(time: str) -> str:
    digits, _, fraction = time.replace(":", "").partition(".")
    digits += "5959"[: 6 - len(digits)]
    return f"{digits}.{fraction.ljust(6, '9')}"


def _ends(
    text: str, form: re.Pattern[str], keyword: str, wanted: str
) -> tuple[str | None, str | None]:
    first, dash, last = (part.strip() for part in text.partition("-"))
    if not dash:
        last = first
    ends = [part or None for part in (first, last)]
    if ends == [None, None] or any(end and not form.fullmatch(end) for end in ends):
        raise PacsException(
            ErrorCode.FIND_INVALID_IDENTIFIER,
            f"{keyword} is {text[:40]!r}, which is not {wanted}",
            attribute=keyword,
        )
    return ends[0], ends[1]
