"""What a field of a PDU value is checked with, converted by and shown as.

Each validator refuses what the field cannot hold on the wire, and no more; see
:mod:`pacs_sdk.network.pdu` for what is left to the strict writer.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias, TypeVar

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.pdu_reasons import AbortReason, AbortSource, RejectResult, RejectSource

__all__ = [
    "MAX_UINT8",
    "MAX_UINT16",
    "MAX_UINT32",
    "RETURNED_LENGTH",
    "bytes_up_to",
    "masked",
    "named",
    "named_abort_reason",
    "named_abort_source",
    "named_reject_result",
    "named_reject_source",
    "nothing_or_bytes",
    "text_up_to",
    "texts_up_to",
    "unique_context_ids",
    "unsigned_up_to",
]

MAX_UINT8: Final = 0xFF
"""The most that one byte can say."""

MAX_UINT16: Final = 0xFFFF
"""The most that two bytes can say, so also the longest that an item of a PDU can be."""

MAX_UINT32: Final = 0xFFFFFFFF
"""The most that four bytes can say."""

RETURNED_LENGTH: Final = 64
"""How much of a request its acceptance returns (PS3.8 Table 9-17, bytes 11 to 74)."""

_Validator: TypeAlias = "Callable[[Any, attrs.Attribute[Any], Any], None]"
_EnumT = TypeVar("_EnumT", bound=enum.IntEnum)


class _Context(Protocol):
    @property
    def context_id(self) -> int: ...


def _does_not_fit(owner: object, name: str, reason: str) -> PacsException:
    what = f"{type(owner).__name__}.{name}"
    return PacsException(ErrorCode.INVALID_PDU, f"{what} {reason}", field=what)


# -- validators; what they make raises PacsException(INVALID_PDU) --------------------------


def unsigned_up_to(maximum: int) -> _Validator:
    """Make the validator of a whole number from 0 to a maximum."""

    def check(owner: object, attribute: attrs.Attribute[Any], value: int) -> None:
        if not 0 <= value <= maximum:
            raise _does_not_fit(owner, attribute.name, f"is {value}, outside 0 to {maximum}")

    return check


def text_up_to(longest: int) -> _Validator:
    """Make the validator of a text with at most so many characters, one byte each."""

    def check(owner: object, attribute: attrs.Attribute[Any], value: str) -> None:
        if len(value) > longest:
            raise _does_not_fit(
                owner, attribute.name, f"has {len(value)} characters, more than {longest}"
            )
        if not value.isascii():
            # One byte a character: the reader keeps a peer's stray byte as Latin-1, so
            # that an A-ASSOCIATE-AC can return an AE title as it came (PS3.8 9.3.3).
            try:
                value.encode("latin-1")
            except UnicodeEncodeError:
                raise _does_not_fit(
                    owner, attribute.name, f"has characters beyond one byte: {value[:80]!r}"
                ) from None

    return check


def texts_up_to(longest: int) -> _Validator:
    """Make the validator of several texts, each as by :func:`text_up_to`."""
    check_one = text_up_to(longest)

    def check(owner: object, attribute: attrs.Attribute[Any], value: tuple[str, ...]) -> None:
        for text in value:
            check_one(owner, attribute, text)

    return check


def bytes_up_to(longest: int) -> _Validator:
    """Make the validator of at most so many bytes."""

    def check(owner: object, attribute: attrs.Attribute[Any], value: bytes) -> None:
        if len(value) > longest:
            raise _does_not_fit(
                owner, attribute.name, f"has {len(value)} bytes, more than {longest}"
            )

    return check


def nothing_or_bytes(length: int) -> _Validator:
    """Make the validator of exactly so many bytes, or none."""

    def check(owner: object, attribute: attrs.Attribute[Any], value: bytes) -> None:
        if len(value) not in (0, length):
            raise _does_not_fit(
                owner, attribute.name, f"has {len(value)} bytes instead of {length}"
            )

    return check


def unique_context_ids(
    owner: object, attribute: attrs.Attribute[Any], value: Sequence[_Context]
) -> None:
    """Check that no two presentation contexts have one ID."""
    if len({context.context_id for context in value}) != len(value):
        # Data would name a context that means two things (PS3.8 9.3.2.2).
        raise _does_not_fit(owner, attribute.name, "use a context ID twice")


# -- converters -----------------------------------------------------------------------------


def named(kind: type[_EnumT], value: int) -> _EnumT | int:
    """Name a code where the standard does; keep a peer's reserved code as a number."""
    try:
        return kind(value)
    except ValueError:
        return value


def named_reject_result(value: int) -> RejectResult | int:
    """Name the result of an A-ASSOCIATE-RJ."""
    return named(RejectResult, value)


def named_reject_source(value: int) -> RejectSource | int:
    """Name the source of an A-ASSOCIATE-RJ."""
    return named(RejectSource, value)


def named_abort_source(value: int) -> AbortSource | int:
    """Name the source of an A-ABORT."""
    return named(AbortSource, value)


def named_abort_reason(value: int) -> AbortReason | int:
    """Name the reason of an A-ABORT."""
    return named(AbortReason, value)


# -- representation -------------------------------------------------------------------------


def masked(value: bytes) -> str:
    """Show how many bytes there are instead of what they are."""
    return f"<{len(value)} bytes>"  # credentials must not reach a log through a repr
