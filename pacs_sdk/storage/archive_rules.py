"""What an archive does with what comes and goes, beyond keeping it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.storage.capacity import CapacityLimits, MakeRoom
from pacs_sdk.storage.coercion import Coercion

__all__ = ["DEFAULT_RULES", "ArchiveRules"]


def _always(_: str) -> bool:
    return True


@attrs.frozen
class ArchiveRules:
    """Rules that a site sets; without them everything is kept as it came.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for studies that settle in no time.
    """

    coercion: Coercion | None = None
    """What is put right in every instance before it is stored."""
    limits: CapacityLimits = CapacityLimits()  # noqa: RUF009  # it is frozen
    """How much the archive may take."""
    make_room: MakeRoom | None = None
    """Asked to delete or move something before an instance is refused for want of room."""
    may_delete: Callable[[str], bool] = _always
    """Whether a study, told by its Study Instance UID, may be deleted; asked again before what was
    deleted for a time is removed for good."""
    settle_after: timedelta = timedelta(seconds=60)
    """How long nothing must have happened to a study before it counts as settled."""
    may_settle: Callable[[str], bool] = _always
    """Whether a study that was quiet may settle; false while more of it is known to come."""

    def __attrs_post_init__(self) -> None:
        """Check what can be checked."""
        if self.settle_after <= timedelta(0):
            raise PacsException(
                ErrorCode.INVALID_CONFIGURATION, "a study needs some time to settle, more than 0 s"
            )


DEFAULT_RULES: Final = ArchiveRules()
"""Everything is kept as it came, and nothing is kept from being deleted."""
