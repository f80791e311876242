"""What may be agreed about C-FIND when an association begins (PS3.4 C.5.1.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from pacs_sdk.storage import MatchingOptions

__all__ = ["FindNegotiation"]


@attrs.frozen
class FindNegotiation:
    """Kinds of query that need the consent of the other side (PS3.4 Table C.5-1).

    As a client's wish, as what a server offers, and as what both agreed on.
    """

    relational: bool = False
    """Keys of any level, without the unique keys of those above (PS3.4 C.4.1.2.2.2)."""
    combined_datetime: bool = False
    """Ranges of a date and of its time are one range (PS3.4 C.2.2.2.5)."""
    fuzzy: bool = False
    """Person names match by words and their sounds (PS3.4 C.2.2.2.1.1)."""
    timezone_adjustment: bool = False
    """Dates and times are those of Timezone Offset From UTC (0008,0201) in the identifier."""
    enhanced_conversion: bool = False
    """Query/Retrieve View (0008,0053) chooses between classic and enhanced objects."""
    empty_values: bool = False
    """``""`` finds what has no value (PS3.4 C.2.2.2.7)."""
    multiple_values: bool = False
    """All of several values have to be there (PS3.4 C.2.2.2.8)."""

    @classmethod
    def of_options(cls, options: MatchingOptions) -> FindNegotiation:
        """Return what has to be agreed for a query to be matched so."""
        return cls(
            combined_datetime=options.combined_datetime,
            fuzzy=options.fuzzy,
            empty_values=options.empty_values,
            multiple_values=options.multiple_values,
        )

    @classmethod
    def decode(cls, information: bytes) -> FindNegotiation:
        """Read the Service-class-application-information; bytes that are missing are 0."""
        return cls(*(one == 1 for one in information[: len(_FIELDS)]))

    def encode(self) -> bytes:
        """Write it, as short as it may be: peers of old know one byte, or three."""
        flags = bytes(getattr(self, name) for name in _FIELDS)
        needed = len(flags.rstrip(b"\0"))
        return flags[: 1 if needed <= 1 else max(needed, _FIRST_EDITION_BYTES)]

    def options(self) -> MatchingOptions:
        """Return what it means for matching."""
        return MatchingOptions(
            fuzzy=self.fuzzy,
            combined_datetime=self.combined_datetime,
            empty_values=self.empty_values,
            multiple_values=self.multiple_values,
        )

    def __or__(self, other: FindNegotiation) -> FindNegotiation:
        """Join the wishes of two."""
        return FindNegotiation(*(getattr(self, name) or getattr(other, name) for name in _FIELDS))

    def lacking(self, granted: FindNegotiation) -> tuple[str, ...]:
        """Put into words what is wished for here and not granted there."""
        return tuple(self._lacking(granted))

    def _lacking(self, granted: FindNegotiation) -> Iterator[str]:
        for name, words in _WORDS.items():
            if getattr(self, name) and not getattr(granted, name):
                yield words


_FIRST_EDITION_BYTES: Final = 3
"""What the field had when it first had more than one (PS3.4 1996 to 2008)."""

_WORDS: Final = {
    "relational": "relational queries",
    "combined_datetime": "ranges of date and time together",
    "fuzzy": "fuzzy matching of names",
    "timezone_adjustment": "timezone query adjustment",
    "enhanced_conversion": "enhanced multi-frame image conversion",
    "empty_values": "empty value matching",
    "multiple_values": "multiple value matching",
}

_FIELDS: Final = tuple(field.name for field in attrs.fields(FindNegotiation))
"""In the order of the bytes."""
