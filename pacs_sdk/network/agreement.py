"""What two application entities agreed on, read from a request and its answer.

Both sides use these functions, so a peer's answer is never believed beyond what was proposed:
it may name contexts, roles or numbers that nobody asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Self

import attrs

from pacs_sdk.network.contexts import AcceptedContext
from pacs_sdk.network.pdu import AAssociateAC, AAssociateRQ, ContextResult
from pacs_sdk.network.pdu_codec import encode_pdu
from pacs_sdk.network.user_information import RoleSelection, UserInformation

__all__ = [
    "Acceptance",
    "OperationsWindow",
    "accepted_by_acceptor",
    "accepted_by_requestor",
    "agreed_extended",
    "agreed_window",
    "fewer",
]


def _roles(user_information: UserInformation) -> dict[str, RoleSelection]:
    return {role.sop_class_uid: role for role in user_information.role_selections}


def accepted_by_acceptor(
    request: AAssociateRQ, answer: AAssociateAC, performed_as: Mapping[str, str] | None = None
) -> dict[int, AcceptedContext]:
    """List what was agreed, by context ID, from the acceptor's side.

    Args:
        request: What was proposed.
        answer: What was answered.
        performed_as: The known SOP class that each accepted unknown one is taken for.
    """
    return _accepted(request, answer, performed_as or {}, local_is_requestor=False)


def accepted_by_requestor(
    request: AAssociateRQ, answer: AAssociateAC
) -> dict[int, AcceptedContext]:
    """List what was agreed, by context ID, from the requestor's side.

    Contexts the answer names but the request did not, and transfer syntaxes that were
    never offered, are not agreed.
    """
    return _accepted(request, answer, {}, local_is_requestor=True)


def _accepted(
    request: AAssociateRQ,
    answer: AAssociateAC,
    performed_as: Mapping[str, str],
    *,
    local_is_requestor: bool,
) -> dict[int, AcceptedContext]:
    offered = {context.context_id: context for context in request.presentation_contexts}
    proposed_roles = _roles(request.user_information)
    answered_roles = _roles(answer.user_information)
    accepted = {}
    for context in answer.presentation_contexts:
        ours = offered.get(context.context_id)
        if (
            ours is None
            or context.result != ContextResult.ACCEPTANCE
            or context.transfer_syntax not in ours.transfer_syntaxes
        ):
            continue
        requestor_scu, requestor_scp = True, False
        asked = proposed_roles.get(ours.abstract_syntax)
        granted = answered_roles.get(ours.abstract_syntax)
        if asked is not None and granted is not None:  # PS3.7 D.3.3.4: else the default roles
            requestor_scu = asked.scu and granted.scu
            requestor_scp = asked.scp and granted.scp
        accepted[context.context_id] = AcceptedContext(
            context.context_id,
            ours.abstract_syntax,
            context.transfer_syntax,
            as_scu=requestor_scu if local_is_requestor else requestor_scp,
            as_scp=requestor_scp if local_is_requestor else requestor_scu,
            performed_as=performed_as.get(ours.abstract_syntax, ours.abstract_syntax),
        )
    return accepted


@attrs.frozen
class Acceptance:
    """The acceptor's answer to a request, written down, and what follows from it.

    It belongs to no association: whoever proposes the same is answered with the same.
    """

    answer: AAssociateAC
    """The answer."""
    encoded: bytes
    """Its bytes."""
    contexts: Mapping[int, AcceptedContext] = attrs.field(hash=False)
    """What is agreed, by context ID, from the acceptor's side."""
    refusals: tuple[str, ...] = ()
    """Of each context that is refused why, in one sentence for the log."""

    @classmethod
    def of(
        cls,
        request: AAssociateRQ,
        answer: AAssociateAC,
        performed_as: Mapping[str, str] | None = None,
        refusals: tuple[str, ...] = (),
    ) -> Self:
        """Write an answer down.

        Args:
            request: What was proposed.
            answer: The answer to it.
            performed_as: The known SOP class that each accepted unknown one is taken for.
            refusals: Why contexts are refused, where they are.

        Raises:
            PacsException: ``INVALID_PDU`` for an answer that the standard forbids to send.
        """
        contexts = MappingProxyType(accepted_by_acceptor(request, answer, performed_as))
        return cls(answer, encode_pdu(answer), contexts, refusals)


class OperationsWindow(NamedTuple):
    """How many operations may be outstanding at a time; 0 is any number (PS3.7 D.3.3.3)."""

    invoked: int
    """Operations the local side may invoke before it waits for an answer."""
    performed: int
    """Operations the local side may be asked to perform at a time."""


def agreed_window(
    request: AAssociateRQ, answer: AAssociateAC, *, is_requestor: bool
) -> OperationsWindow:
    """Tell how many operations may be outstanding in each direction (PS3.7 D.3.3.3).

    It is one in each direction unless both sides negotiated something else; an answer that
    grants more than was proposed has granted what was proposed.

    Args:
        request: What was proposed.
        answer: What was answered.
        is_requestor: Whether the local side is the association-requestor.
    """
    proposed = request.user_information.asynchronous_operations_window
    granted = answer.user_information.asynchronous_operations_window
    if proposed is None or granted is None:
        return OperationsWindow(1, 1)
    by_requestor = fewer(proposed.maximum_invoked, granted.maximum_invoked)
    by_acceptor = fewer(proposed.maximum_performed, granted.maximum_performed)
    if is_requestor:
        return OperationsWindow(invoked=by_requestor, performed=by_acceptor)
    return OperationsWindow(invoked=by_acceptor, performed=by_requestor)


def agreed_extended(request: AAssociateRQ, answer: AAssociateAC) -> dict[str, bytes]:
    """List the acceptor's application information, by SOP class (PS3.7 D.3.3.5).

    A SOP class is missing for which the acceptor gave no answer: the defaults of its service
    class hold. Answers to what was not proposed are left out.
    """
    proposed = {item.sop_class_uid for item in request.user_information.extended_negotiations}
    return {
        item.sop_class_uid: item.application_information
        for item in answer.user_information.extended_negotiations
        if item.sop_class_uid in proposed
    }


def fewer(one: int, other: int) -> int:
    """Return the smaller of two numbers of operations, where 0 is any number."""
    return min(one, other) if one and other else one or other
