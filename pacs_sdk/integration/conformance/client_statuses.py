"""What the client makes of the status of an answer, found by giving it to the client's code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN
from pacs_sdk.integration.conformance.client import Client
from pacs_sdk.integration.conformance.document import Section, Table
from pacs_sdk.integration.conformance.facts import C_ECHO, C_FIND, C_GET, C_MOVE, C_STORE
from pacs_sdk.integration.conformance.statuses import meaning_of
from pacs_sdk.network.dimse import (
    STATUS_MEANINGS,
    CEchoRSP,
    CFindRSP,
    CGetRSP,
    CMoveRSP,
    CommandField,
    Status,
    StatusCategory,
)
from pacs_sdk.services import StoreOutcome
from pacs_sdk.services.query.stream import check_end
from pacs_sdk.services.retrieve.report import report_of
from pacs_sdk.services.scu import check_status
from pacs_sdk.services.sending.attempts import status_may_pass

__all__ = ["outcome_sections"]

_GENERAL: Final = (
    Status.SUCCESS,
    Status.PROCESSING_FAILURE,
    Status.SOP_CLASS_NOT_SUPPORTED,
    Status.NOT_AUTHORISED,
    Status.UNRECOGNIZED_OPERATION,
    Status.RESOURCE_LIMITATION,
)
"""Statuses that any operation may be answered with (PS3.7 Annex C)."""

_IS_PENDING: Final = StatusCategory.PENDING


def outcome_sections(client: Client) -> Iterator[Section]:
    """Say for each operation what each status leads to."""
    operations = [*dict.fromkeys(one.operation for one in client.proposals), C_STORE]
    for operation in operations:
        yield Section(
            f"{operation} as SCU",
            (Table(("Status", "Kind", "Meaning", "Leads to"), _rows(operation)),),
        )


def _rows(operation: str) -> Iterator[tuple[str, ...]]:
    field = CommandField[f"{operation.replace('-', '_')}_RQ"]
    # Other services that have the same operation are not performed: frames, relevant patients.
    own = [(one.first, one.last) for one in STATUS_MEANINGS if operation in one.service]
    cancelled = [Status.CANCEL] if operation in (C_FIND, C_GET, C_MOVE) else []
    general = [(one, one) for one in (*_GENERAL, *cancelled)]
    for first, last in sorted({*own, *general}):
        meaning = meaning_of(first, field)
        is_pending = meaning.category is _IS_PENDING
        leads_to = _PENDING[operation] if is_pending else _LEADS[operation](first)
        status = f"{first:04X}H" if first == last else f"{first:04X}H to {last:04X}H"
        yield status, meaning.category.value, meaning.words, leads_to


# -- asking the code of each service class user --------------------------------------------


def _after_echo(status: int) -> str:
    return _tried(
        lambda: check_status(CEchoRSP(1, status), ErrorCode.VERIFICATION_FAILED, C_ECHO),
        "the peer is there",
    )


def _after_find(status: int) -> str:
    return _tried(
        lambda: check_end(CFindRSP(1, status), 1),
        "the end of the matches",
    )


def _after_retrieval(status: int, response: type[CGetRSP | CMoveRSP]) -> str:
    def report(done: int | None) -> Callable[[], object]:
        final = response(1, status, number_of_completed_suboperations=done)
        syntax = EXPLICIT_VR_LITTLE_ENDIAN
        return lambda: report_of(final, None, syntax, taken=None, told=None, was_cancelled=False)

    told = "a report with the counts and the status"
    with_nothing, with_some = _tried(report(None), told), _tried(report(1), told)
    if with_nothing == with_some:
        return with_some
    return f"{with_nothing} where nothing was done, otherwise {with_some}"


def _after_store(status: int) -> str:
    outcome = StoreOutcome("", 0, status)
    if outcome.is_warning:
        return "the instance counts as stored, with a warning"
    if outcome.is_stored:
        return "the instance counts as stored"
    again = "; it is sent again if several attempts are allowed" if status_may_pass(status) else ""
    return f"the instance counts as not stored{again}"


def _tried(call: Callable[[], object], good: str) -> str:
    try:
        call()
    except PacsException as exc:
        return f"the error {exc.error.code.name}"
    return good


_LEADS: Final[dict[str, Callable[[int], str]]] = {
    C_ECHO: _after_echo,
    C_STORE: _after_store,
    C_FIND: _after_find,
    C_GET: lambda status: _after_retrieval(status, CGetRSP),
    C_MOVE: lambda status: _after_retrieval(status, CMoveRSP),
}

_PENDING: Final = {
    C_FIND: "a match",
    C_GET: "counts for whoever follows the progress",
    C_MOVE: "counts for whoever follows the progress",
}
