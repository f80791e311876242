"""Why an association was refused or aborted: the codes and their words (PS3.8 9.3.4, 9.3.8)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

__all__ = [
    "AbortReason",
    "AbortSource",
    "AcseRejectReason",
    "PresentationRejectReason",
    "RejectResult",
    "RejectSource",
    "UserRejectReason",
    "explain_abort",
    "explain_rejection",
    "is_defined_abort",
    "is_defined_rejection",
]


class RejectResult(enum.IntEnum):
    """Whether a refused association is worth asking for again (PS3.8 Table 9-21)."""

    REJECTED_PERMANENT = 1
    REJECTED_TRANSIENT = 2


class RejectSource(enum.IntEnum):
    """Who refused an association (PS3.8 Table 9-21)."""

    SERVICE_USER = 1
    SERVICE_PROVIDER_ACSE = 2
    SERVICE_PROVIDER_PRESENTATION = 3


class UserRejectReason(enum.IntEnum):
    """Why the service user refused (PS3.8 Table 9-21, source 1)."""

    NO_REASON_GIVEN = 1
    APPLICATION_CONTEXT_NAME_NOT_SUPPORTED = 2
    CALLING_AE_TITLE_NOT_RECOGNIZED = 3
    CALLED_AE_TITLE_NOT_RECOGNIZED = 7


class AcseRejectReason(enum.IntEnum):
    """Why the service provider's association control refused (PS3.8 Table 9-21, source 2)."""

    NO_REASON_GIVEN = 1
    PROTOCOL_VERSION_NOT_SUPPORTED = 2


class PresentationRejectReason(enum.IntEnum):
    """Why the service provider's presentation part refused (PS3.8 Table 9-21, source 3)."""

    TEMPORARY_CONGESTION = 1
    LOCAL_LIMIT_EXCEEDED = 2


class AbortSource(enum.IntEnum):
    """Who aborted an association (PS3.8 Table 9-26)."""

    SERVICE_USER = 0
    SERVICE_PROVIDER = 2


class AbortReason(enum.IntEnum):
    """Why the service provider aborted (PS3.8 Table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PDU_PARAMETER = 4
    UNEXPECTED_PDU_PARAMETER = 5
    INVALID_PDU_PARAMETER_VALUE = 6


_RESULT_WORDS: Final[Mapping[int, str]] = {
    RejectResult.REJECTED_PERMANENT: "rejected permanently",
    RejectResult.REJECTED_TRANSIENT: "rejected for now (trying again later may succeed)",
}

_SOURCE_WORDS: Final[Mapping[int, str]] = {
    RejectSource.SERVICE_USER: "the peer's application",
    RejectSource.SERVICE_PROVIDER_ACSE: "the peer's association control",
    RejectSource.SERVICE_PROVIDER_PRESENTATION: "the peer's network layer",
}

_REASON_WORDS: Final[Mapping[tuple[int, int], str]] = {
    (RejectSource.SERVICE_USER, UserRejectReason.NO_REASON_GIVEN): "it gave no reason",
    (
        RejectSource.SERVICE_USER,
        UserRejectReason.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED,
    ): "it does not support the application context name",
    (
        RejectSource.SERVICE_USER,
        UserRejectReason.CALLING_AE_TITLE_NOT_RECOGNIZED,
    ): "it does not recognize the calling AE title; register it with the peer",
    (
        RejectSource.SERVICE_USER,
        UserRejectReason.CALLED_AE_TITLE_NOT_RECOGNIZED,
    ): "it does not recognize the called AE title; check how the peer is named",
    (RejectSource.SERVICE_PROVIDER_ACSE, AcseRejectReason.NO_REASON_GIVEN): "it gave no reason",
    (
        RejectSource.SERVICE_PROVIDER_ACSE,
        AcseRejectReason.PROTOCOL_VERSION_NOT_SUPPORTED,
    ): "it does not support the protocol version",
    (
        RejectSource.SERVICE_PROVIDER_PRESENTATION,
        PresentationRejectReason.TEMPORARY_CONGESTION,
    ): "it is congested at the moment",
    (
        RejectSource.SERVICE_PROVIDER_PRESENTATION,
        PresentationRejectReason.LOCAL_LIMIT_EXCEEDED,
    ): "a limit of its own is exceeded, such as the number of associations",
}

_ABORT_REASON_WORDS: Final[Mapping[int, str]] = {
    AbortReason.NOT_SPECIFIED: "it gave no reason",
    AbortReason.UNRECOGNIZED_PDU: "it did not recognize a PDU",
    AbortReason.UNEXPECTED_PDU: "it did not expect a PDU at that moment",
    AbortReason.UNRECOGNIZED_PDU_PARAMETER: "it did not recognize a parameter of a PDU",
    AbortReason.UNEXPECTED_PDU_PARAMETER: "it did not expect a parameter of a PDU",
    AbortReason.INVALID_PDU_PARAMETER_VALUE: "a parameter of a PDU had an invalid value",
}


def explain_rejection(result: int, source: int, reason: int) -> str:
    """Say in words what an A-ASSOCIATE-RJ says in three numbers (PS3.8 Table 9-21).

    Args:
        result: Permanent or transient, :class:`RejectResult`.
        source: Who refused, :class:`RejectSource`.
        reason: Why, in the numbering of the source.

    Returns:
        One clause; codes the standard reserves are given as numbers.
    """
    what = _RESULT_WORDS.get(result, f"rejected (result {result}, which the standard reserves)")
    who = _SOURCE_WORDS.get(source, f"an unknown source ({source})")
    why = _REASON_WORDS.get(
        (source, reason), f"its reason is {reason}, which the standard reserves"
    )
    return f"{what} by {who}: {why}"


def explain_abort(source: int, reason: int) -> str:
    """Say in words what an A-ABORT says in two numbers (PS3.8 Table 9-26).

    Args:
        source: Who aborted, :class:`AbortSource`.
        reason: Why, :class:`AbortReason`; not significant when the service user aborted.

    Returns:
        One clause; codes the standard reserves are given as numbers.
    """
    if source == AbortSource.SERVICE_USER:
        return "aborted by the peer's application"
    if source == AbortSource.SERVICE_PROVIDER:
        who = "the peer's network layer"
    else:
        who = f"an unknown source ({source})"
    why = _ABORT_REASON_WORDS.get(reason, f"its reason is {reason}, which the standard reserves")
    return f"aborted by {who}: {why}"


def is_defined_rejection(result: int, source: int, reason: int) -> bool:
    """Tell whether PS3.8 Table 9-21 gives these codes a meaning, so that we may send them."""
    return result in _RESULT_WORDS and (source, reason) in _REASON_WORDS


def is_defined_abort(source: int, reason: int) -> bool:
    """Tell whether PS3.8 Table 9-26 gives these codes a meaning, so that we may send them."""
    if source == AbortSource.SERVICE_USER:
        return reason == AbortReason.NOT_SPECIFIED  # not significant: sent as 0
    return source == AbortSource.SERVICE_PROVIDER and reason in _ABORT_REASON_WORDS
