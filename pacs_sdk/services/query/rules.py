"""What a C-FIND provider allows, and how it reads what peers send."""

from __future__ import annotations

from typing import Final

import attrs

from pacs_sdk.encoding import CharacterSetPolicy
from pacs_sdk.services.query.negotiation import FindNegotiation

__all__ = ["QueryRules"]


_ALL_THAT_THE_ARCHIVE_KNOWS: Final = FindNegotiation(
    relational=True,
    combined_datetime=True,
    fuzzy=True,
    empty_values=True,
    multiple_values=True,
)


@attrs.frozen
class QueryRules:
    """How strictly a C-FIND provider takes its peers."""

    always_relational: bool = False
    """Whether the unique keys of the levels above may be missing though relational queries
    were not negotiated, as many clients have it; the standard refuses that (A900H)."""
    check_values: bool = True
    """Whether keys that break the rules of their VR are refused (A900H); otherwise only those
    are that cannot be understood."""
    character_sets: CharacterSetPolicy = attrs.field(factory=CharacterSetPolicy)
    """How the text of identifiers is read, whatever they declare."""
    offered: FindNegotiation = _ALL_THAT_THE_ARCHIVE_KNOWS
    """What is agreed to when a peer asks for it."""
