"""Tags of data elements (PS3.5 7.1, PS3.6)."""

from __future__ import annotations

import functools
import re
from typing import Final, Self, TypeAlias

from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge

__all__ = ["SPECIFIC_CHARACTER_SET", "DicomTag", "TagLike", "parse_tag"]

SPECIFIC_CHARACTER_SET: Final = 0x00080005
"""The element that says how all text of its data set is encoded (PS3.3 C.12.1.1.2)."""

_HEX_FORM: Final = re.compile(r"\(?\s*([0-9A-Fa-f]{4})\s*(?:,\s*)?([0-9A-Fa-f]{4})\s*\)?")


class DicomTag(int):
    """A tag as one number, ``group << 16 | element``; sorts in data set order.

    It is an ``int``, so it equals pydicom's tags and can be looked up among them.
    """

    __slots__ = ()

    @classmethod
    def of(cls, tag: TagLike) -> Self:
        """Make a tag from a number, a (group, element) pair, a keyword or hex text.

        Args:
            tag: ``0x00100010``, ``(0x0010, 0x0010)``, ``"PatientName"`` in any case,
                ``"00100010"`` or ``"(0010,0010)"``.

        Raises:
            PacsException: ``INVALID_TAG``; :func:`parse_tag` gives a ``Result`` instead.
        """
        match tag:
            case int():
                number = tag
            case (int(group), int(element)):
                if not (0 <= group <= 0xFFFF and 0 <= element <= 0xFFFF):
                    raise PacsException(ErrorCode.INVALID_TAG, f"{tag!r} is outside a tag's range")
                number = group << 16 | element
            case str():
                number = _number_of(tag)
            case _:
                raise PacsException(ErrorCode.INVALID_TAG, f"{tag!r} names no tag")
        if not 0 <= number <= 0xFFFFFFFF:
            raise PacsException(ErrorCode.INVALID_TAG, f"{number:#x} is outside a tag's range")
        return cls(number)

    @property
    def group(self) -> int:
        """The first 16 bits."""
        return self >> 16

    @property
    def element(self) -> int:
        """The last 16 bits."""
        return self & 0xFFFF

    @property
    def is_private(self) -> bool:
        """Whether the group is odd (PS3.5 7.8)."""
        return bool(self.group & 1)

    @property
    def keyword(self) -> str:
        """The keyword of PS3.6, or an empty string for a private or unknown tag."""
        return keyword_for_tag(int(self))

    @property
    def dictionary_vr(self) -> str:
        """The VR of PS3.6 (``"US or SS"`` where it depends), ``"UN"`` where it has none."""
        try:
            return dictionary_VR(int(self))
        except KeyError:
            return "UN"

    def __str__(self) -> str:
        return f"({self.group:04X},{self.element:04X})"

    def __repr__(self) -> str:
        keyword = self.keyword
        return f"DicomTag({self}{' ' if keyword else ''}{keyword})"


TagLike: TypeAlias = int | tuple[int, int] | str | DicomTag
"""What may stand for a tag: a number, a pair, a keyword, or hex text."""


def _number_of(text: str) -> int:
    number = tag_for_keyword(text)
    if number is not None and text:  # some retired tags of pydicom's dictionary have no keyword
        return number
    found = _HEX_FORM.fullmatch(text.strip())
    if found is None:
        number = _tags_by_folded_keyword().get(text.casefold())
        if number is not None:
            return number
        raise PacsException(
            ErrorCode.INVALID_TAG,
            f"{text[:80]!r} is neither a DICOM keyword nor a tag such as 00100010",
        )
    return int(found[1] + found[2], 16)


@functools.cache
def _tags_by_folded_keyword() -> dict[str, int]:
    # No two keywords of PS3.6 differ in case alone; a test keeps it so.
    return {row[4].casefold(): tag for tag, row in DicomDictionary.items() if row[4]}


@edge()
def parse_tag(tag: TagLike) -> DicomTag:
    """Make a tag from what a user typed; see :meth:`DicomTag.of`.

    Returns:
        ``Success`` with the tag, or ``Failure`` with ``INVALID_TAG``.
    """
    return DicomTag.of(tag)
