"""What a hook is told of an instance that has arrived, and what it may say to it (PS3.4 B.2.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

import attrs

from pacs_sdk.core.dataset import DatasetLike
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Logger
from pacs_sdk.core.tags import DicomTag, TagLike
from pacs_sdk.encoding import Instance
from pacs_sdk.network import AssociationInfo
from pacs_sdk.network.dimse import CStoreRQ, Status, StatusCategory, status_category

__all__ = [
    "VERDICTS",
    "AfterStore",
    "BeforeStore",
    "Coerce",
    "IncomingInstance",
    "Refuse",
    "StoreVerdict",
    "Warn",
]

_WARNINGS: Final = (
    Status.COERCION_OF_DATA_ELEMENTS,
    Status.ELEMENTS_DISCARDED,
    Status.DATA_SET_MISMATCH_WARNING,
)
"""The warnings that PS3.4 Table B.2-1 has."""

VERDICTS: Final = frozenset(
    (
        *_WARNINGS,
        Status.OUT_OF_RESOURCES,
        Status.DATA_SET_MISMATCH,
        Status.CANNOT_UNDERSTAND,
        Status.NOT_AUTHORISED,
    )
)
"""The statuses that a hook may choose from; the first of a range stands for the range."""


def _tags(elements: Iterable[TagLike]) -> tuple[int, ...]:
    if isinstance(elements, str):
        elements = (elements,)
    return tuple(int(DicomTag.of(element)) for element in elements)


def _failure(owner: object, attribute: attrs.Attribute[int], status: int) -> None:
    if not 0 < status <= 0xFFFF or status_category(status) is not StatusCategory.FAILURE:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"{status:04X}H is no failure; take A7xxH, A9xxH, CxxxH (PS3.4 B.2.3) or 0124H",
        )


def _warning(owner: object, attribute: attrs.Attribute[int], status: int) -> None:
    if status not in _WARNINGS:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"{status:04X}H is no warning of C-STORE, which has B000H, B006H and B007H "
            "(PS3.4 B.2.3)",
        )


@attrs.frozen
class IncomingInstance:
    """An instance that has arrived, and who sent it."""

    instance: Instance
    """The instance: its header and data set are read when they are asked for. Its bytes are
    valid during the call only."""
    association: AssociationInfo
    """Who sent it: AE titles, address, TLS, the verified user."""
    request: CStoreRQ
    """The request: its Message ID, priority, and the C-MOVE that it belongs to."""
    logger: Logger
    """A logger bound with the facts of the association."""


@attrs.frozen
class Refuse:
    """The instance is not stored.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` for a status that is no failure.
    """

    status: int = attrs.field(default=int(Status.CANNOT_UNDERSTAND), validator=_failure)
    """What the sender is told: A7xxH out of resources, A9xxH the data set does not match the
    SOP class, CxxxH cannot understand, 0124H not authorised."""
    comment: str = ""
    """Why, in at most 64 characters (Error Comment)."""
    offending_elements: tuple[int, ...] = attrs.field(default=(), converter=_tags, kw_only=True)
    """What is objected to; keywords are taken as well."""


@attrs.frozen
class Warn:
    """The instance is stored, and the sender is warned.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` for a status that is no warning of C-STORE.
    """

    status: int = attrs.field(default=int(Status.DATA_SET_MISMATCH_WARNING), validator=_warning)
    """B007H the data set does not match the SOP class, B006H elements were discarded, B000H
    elements were coerced."""
    comment: str = ""
    """Why, in at most 64 characters."""
    offending_elements: tuple[int, ...] = attrs.field(default=(), converter=_tags, kw_only=True)
    """What is warned of; keywords are taken as well."""


@attrs.frozen
class Coerce:
    """Something else is stored in place of the instance, and the sender is warned.

    SOP Class and SOP Instance UID have to stay: the sender is told that *its* instance is
    stored.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` for a status that is no warning of C-STORE.
    """

    to: Instance | DatasetLike | Mapping[str, Any]
    """What is stored: an instance, a data set (encoded as the instance was), or values by
    keyword that are set in it, ``None`` to remove an element. With these, pixels are not
    touched, and what was there is kept in Original Attributes Sequence (PS3.3 C.12.1.1.9)."""
    status: int = attrs.field(default=int(Status.COERCION_OF_DATA_ELEMENTS), validator=_warning)
    """B000H elements were coerced, B006H elements were discarded."""
    comment: str = ""
    """Why, in at most 64 characters."""
    offending_elements: tuple[int, ...] = attrs.field(default=(), converter=_tags, kw_only=True)
    """What was changed; keywords are taken as well. By default, the keywords of ``to``."""


StoreVerdict: TypeAlias = Refuse | Warn | Coerce | None
"""What a hook says: ``None`` is no objection."""

BeforeStore: TypeAlias = Callable[[IncomingInstance], StoreVerdict]
"""Looks at an instance before it is stored."""

AfterStore: TypeAlias = Callable[[IncomingInstance, Any], object]
"""Is called when an instance is safe and before the sender is told so. The second argument is
what storing gave: a ``StoredInstance`` of an archive."""
