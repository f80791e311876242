"""Which transfer syntaxes instances are taken in."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import all_transfer_syntaxes, transfer_syntax

__all__ = ["TransferSyntaxPolicy"]


def _uids(names: Iterable[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"transfer syntaxes are given as a list, not as one text: {names[:80]!r}",
        )
    try:
        return tuple(raised(transfer_syntax(name)).uid for name in names)
    except PacsException as exc:
        raise PacsException(ErrorCode.INVALID_CONFIGURATION, exc.error.message) from exc


@attrs.frozen
class TransferSyntaxPolicy:
    """Which transfer syntaxes a Storage SCP takes; as sent, and all of them, by default.

    Nothing is re-encoded: a sender proposes what it has, one or more transfer syntaxes for each
    presentation context, and one of them is accepted (PS3.8 9.3.3.2). UIDs and keywords may be
    given.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for what is no transfer syntax, and where none
            is left.
    """

    preferred: tuple[str, ...] = attrs.field(default=(), converter=_uids)
    """Of several that a context proposes, the first of these is taken; the sender's first, if
    none of them is proposed."""
    only: tuple[str, ...] = attrs.field(default=(), converter=_uids)
    """No others are taken; all are if there are none. PS3.5 10.1 asks every application to take
    Implicit VR Little Endian."""
    refused: tuple[str, ...] = attrs.field(default=(), converter=_uids)
    """These are not taken."""

    def __attrs_post_init__(self) -> None:
        if not self.accepted():
            raise PacsException(
                ErrorCode.INVALID_CONFIGURATION, "no transfer syntax is left that may be accepted"
            )

    def accepted(self) -> frozenset[str]:
        """List the UIDs of those that are taken."""
        known = self.only or tuple(syntax.uid for syntax in all_transfer_syntaxes())
        return frozenset(known).difference(self.refused)
