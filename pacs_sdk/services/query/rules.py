"""What a C-FIND provider allows, and how it reads what peers send."""

from __future__ import annotations

from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding import CharacterSetPolicy
from pacs_sdk.services.query.negotiation import FindNegotiation
from pacs_sdk.services.query.timezones import offset_minutes

__all__ = ["QueryRules"]


_ALL_THAT_THE_ARCHIVE_KNOWS: Final = FindNegotiation(
    relational=True,
    combined_datetime=True,
    fuzzy=True,
    empty_values=True,
    multiple_values=True,
)


def _check_offset(_: object, __: object, text: str) -> None:
    if text and offset_minutes(text) is None:
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"utc_offset is {text!r}, but must be an offset from UTC such as +0100",
            setting="query.utc_offset",
        )


@attrs.frozen
class QueryRules:
    """How strictly a C-FIND provider takes its peers."""

    always_relational: bool = True
    """Whether the unique keys of the levels above may be missing though relational queries
    were not negotiated, as many clients have it; the standard would refuse that (A900H)."""
    check_values: bool = True
    """Whether keys that break the rules of their VR are refused (A900H); otherwise only those
    are that cannot be understood."""
    character_sets: CharacterSetPolicy = attrs.field(factory=CharacterSetPolicy)
    """How the text of identifiers is read, whatever they declare."""
    utc_offset: str = attrs.field(default="", validator=_check_offset)
    """The timezone of stored dates and times that don't say theirs, such as ``+0100``. Clients
    may have queries adjusted to another one only where it is known."""
    offered: FindNegotiation = _ALL_THAT_THE_ARCHIVE_KNOWS
    """What is agreed to when a peer asks for it, besides the timezone."""

    @property
    def agreeable(self) -> FindNegotiation:
        """All that is agreed to when a peer asks for it."""
        return self.offered | FindNegotiation(timezone_adjustment=bool(self.utc_offset))
