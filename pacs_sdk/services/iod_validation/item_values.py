"""Values of a data set or item, whatever is in it: what cannot be read counts as absent.

Validation looks at objects that may be damaged anywhere. That a value cannot be read is the
finding of the value rules (PS3.5 6.2); all other checks go on without it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from pydicom.datadict import dictionary_description, dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as PydicomSequence

from pacs_sdk.core.automatic_vr import UNREADABLE
from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.stored_element import stored_element
from pacs_sdk.core.tags import DicomTag

__all__ = [
    "byte_length",
    "described",
    "has_value",
    "integer",
    "is_present",
    "items_of",
    "numbers",
    "pointers",
    "tag_of",
    "text",
    "texts",
]

_TEXT_VRS = frozenset(
    [
        "AE",
        "AS",
        "CS",
        "DA",
        "DS",
        "DT",
        "IS",
        "LO",
        "LT",
        "PN",
        "SH",
        "ST",
        "TM",
        "UC",
        "UI",
        "UR",
        "UT",
    ]  # padded with spaces or a null
)


@functools.cache
def tag_of(keyword: str) -> int:
    """Return the tag of a keyword of PS3.6."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return int(tag)


def described(tag: int) -> str:
    """Write a tag with its name: ``Patient's Name (0010,0010)``."""
    try:
        return f"{dictionary_description(tag)} {DicomTag(tag)}"
    except KeyError:
        return str(DicomTag(tag))


def is_present(item: Dataset, keyword: str) -> bool:
    """Whether the element is there, with or without a value."""
    return tag_of(keyword) in item


def has_value(item: Dataset, tag: int) -> bool:
    """Whether an element is there and has a value; one of nothing but padding has none."""
    if tag not in item:
        return False
    element = stored_element(item, tag)
    value = element.value
    if isinstance(element, RawDataElement):
        if not value:
            return False
        if isinstance(value, bytes) and not value.strip(b" \0"):
            return _vr(tag, element.VR) not in _TEXT_VRS
        if _vr(tag, element.VR) == "SQ":
            return bool(items_of(item, tag))
        return True
    if isinstance(value, str):
        return bool(value.strip(" \0"))
    try:
        return not element.is_empty
    except UNREADABLE:
        return True


def _vr(tag: int, vr: str | None) -> str:
    if vr:
        return vr
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return ""


def _value(item: Dataset, tag: int) -> object:
    try:
        return item[tag].value
    except UNREADABLE:  # KeyError among them: it is absent
        return None


def items_of(item: Dataset, tag: int | str) -> Sequence[Dataset]:
    """Return the items of a sequence, none if it is absent or none."""
    value = _value(item, tag_of(tag) if isinstance(tag, str) else tag)
    return value if isinstance(value, PydicomSequence) else ()


def texts(item: Dataset, keyword: str) -> tuple[str, ...]:
    """Return the values of an element as text, without padding; none if it is absent."""
    value = _value(item, tag_of(keyword))
    if value is None or isinstance(value, bytes | PydicomSequence):
        return ()
    several = isinstance(value, Sequence) and not isinstance(value, str)
    return tuple(str(one).strip(" \0") for one in (value if several else (value,)))  # type: ignore[attr-defined]


def text(item: Dataset, keyword: str) -> str:
    """Return the first value of an element as text, or an empty one."""
    return next(iter(texts(item, keyword)), "")


def numbers(item: Dataset, keyword: str) -> tuple[float, ...]:
    """Return the values of an element as finite numbers; none if one of them is no number."""
    found = []
    for one in texts(item, keyword):
        try:
            number = float(one)
        except ValueError:
            return ()
        if not math.isfinite(number):
            return ()
        found.append(number)
    return tuple(found)


def integer(item: Dataset, keyword: str) -> int | None:
    """Return the first value of an element as an integer; ``None`` if it is none."""
    first = next(iter(numbers(item, keyword)), None)
    return int(first) if first is not None and first == int(first) else None


def pointers(item: Dataset, keyword: str) -> tuple[DicomTag, ...]:
    """Return the values of an element that are tags (AT); others count as absent."""
    found = []
    for one in texts(item, keyword):
        try:
            found.append(DicomTag.of(int(one.strip("()").replace(",", ""), 16)))
        except (ValueError, PacsException):
            continue
    return tuple(found)


def byte_length(item: Dataset, keyword: str) -> int | None:
    """Return how many bytes a binary value has; ``None`` if it is absent or not binary."""
    tag = tag_of(keyword)
    if tag not in item:
        return None
    value = stored_element(item, tag).value
    if value is None:
        return 0
    return len(value) if isinstance(value, bytes | bytearray | memoryview) else None
