"""Negotiation: which contexts and roles two application entities agree on.

Pure functions from what was proposed and what is supported to what was accepted
(PS3.8 7.1.1, PS3.7 D.3). No state, no socket.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.uids import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    is_valid_uid,
)
from pacs_sdk.network.pdu import (
    APPLICATION_CONTEXT_NAME,
    AAssociateAC,
    AAssociateRJ,
    AAssociateRQ,
    AcseRejectReason,
    ContextResult,
    PresentationContextAC,
    PresentationContextRQ,
    RejectResult,
    RejectSource,
    RoleSelection,
    UserInformation,
    UserRejectReason,
)

__all__ = [
    "DEFAULT_MAXIMUM_LENGTH",
    "MAX_CONTEXTS",
    "AcceptedContext",
    "AcceptorPolicy",
    "ProposedContext",
    "SupportedContext",
    "accepted_by_acceptor",
    "accepted_by_requestor",
    "association_request",
    "explain_refusal",
    "negotiate",
]

MAX_CONTEXTS: Final = 128
"""Presentation context IDs are the odd numbers 1 to 255 (PS3.8 9.3.2.2)."""

DEFAULT_MAXIMUM_LENGTH: Final = 131_072
"""The P-DATA-TF length we ask peers to keep to: DCMTK's own ceiling, so that its
clients send in as few pieces as they can."""


@attrs.frozen
class ProposedContext:
    """What a requestor would like to exchange."""

    abstract_syntax: str
    """The SOP class."""
    transfer_syntaxes: tuple[str, ...]
    """The encodings it can send or take, preferred first."""
    as_scu: bool = True
    """Whether it wants to invoke the SOP class (the default role, PS3.7 D.3.3.4)."""
    as_scp: bool = False
    """Whether it wants to perform it, as a C-GET requestor does for Storage."""


def _frozen(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(texts)


@attrs.frozen
class SupportedContext:
    """What an acceptor can exchange."""

    abstract_syntax: str
    """The SOP class."""
    transfer_syntaxes: frozenset[str] = attrs.field(converter=_frozen)
    """The encodings it takes."""
    as_scp: bool = True
    """Whether it performs the SOP class."""
    as_scu: bool = False
    """Whether it also invokes it when the requestor offers to be the SCP."""


@attrs.frozen
class AcceptedContext:
    """One presentation context that both sides agreed on, seen from the local side."""

    context_id: int
    """The odd number that names it in every PDV."""
    abstract_syntax: str
    """The SOP class."""
    transfer_syntax: str
    """The encoding of data sets in it."""
    as_scu: bool
    """Whether the local side may invoke operations."""
    as_scp: bool
    """Whether the local side performs them."""


def _by_abstract_syntax(contexts: Iterable[SupportedContext]) -> dict[str, SupportedContext]:
    return {context.abstract_syntax: context for context in contexts}


@attrs.frozen
class AcceptorPolicy:
    """What an acceptor demands of a requestor before it accepts."""

    ae_title: str
    """The acceptor's own AE title."""
    contexts: Mapping[str, SupportedContext] = attrs.field(converter=_by_abstract_syntax)
    """What it supports; given as an iterable of contexts."""
    require_called_ae_title: bool = False
    """Whether a request for another AE title is rejected."""
    calling_ae_titles: frozenset[str] = attrs.field(default=(), converter=_frozen)
    """The AE titles that may associate; empty means all."""
    maximum_length: int = DEFAULT_MAXIMUM_LENGTH
    """The longest P-DATA-TF variable field it takes, in bytes."""


def _rejection(request: AAssociateRQ, policy: AcceptorPolicy) -> AAssociateRJ | None:
    """Find the reason to reject the whole association, if there is one (PS3.8 9.3.4)."""
    source, reason = RejectSource.SERVICE_USER, 0
    if not request.protocol_version & 1:
        source = RejectSource.SERVICE_PROVIDER_ACSE
        reason = AcseRejectReason.PROTOCOL_VERSION_NOT_SUPPORTED
    elif request.application_context_name != APPLICATION_CONTEXT_NAME:
        reason = UserRejectReason.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED
    elif policy.require_called_ae_title and request.called_ae_title != policy.ae_title:
        reason = UserRejectReason.CALLED_AE_TITLE_NOT_RECOGNIZED
    elif policy.calling_ae_titles and request.calling_ae_title not in policy.calling_ae_titles:
        reason = UserRejectReason.CALLING_AE_TITLE_NOT_RECOGNIZED
    return AAssociateRJ(RejectResult.REJECTED_PERMANENT, source, reason) if reason else None


def negotiate(request: AAssociateRQ, policy: AcceptorPolicy) -> AAssociateAC | AAssociateRJ:
    """Answer an association request (PS3.8 9.3.3, 9.3.4).

    A context is accepted with the first of the *requestor's* transfer syntaxes that is
    supported, so that a sender's stored encoding arrives untouched.
    """
    rejection = _rejection(request, policy)
    if rejection is not None:
        return rejection
    roles = _answered_roles(request, policy.contexts)
    return AAssociateAC(
        called_ae_title=request.called_ae_title,
        calling_ae_title=request.calling_ae_title,
        presentation_contexts=tuple(
            _answer(context, policy.contexts.get(context.abstract_syntax), roles)
            for context in request.presentation_contexts
        ),
        user_information=UserInformation(
            maximum_length=policy.maximum_length,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version_name=IMPLEMENTATION_VERSION_NAME,
            role_selections=tuple(roles.values()),
        ),
    )


def _answer(
    proposed: PresentationContextRQ,
    ours: SupportedContext | None,
    roles: Mapping[str, RoleSelection],
) -> PresentationContextAC:
    # PS3.8 9.3.3.2: the sub-item is there in a refusal too, and not significant; some
    # peers insist on a well-formed UID, so the first proposed one is sent back.
    syntax = next(filter(is_valid_uid, proposed.transfer_syntaxes), "")
    if ours is None:
        result = ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
    elif not _has_role(ours, roles.get(proposed.abstract_syntax)):
        result = ContextResult.USER_REJECTION
    else:
        common = [uid for uid in proposed.transfer_syntaxes if uid in ours.transfer_syntaxes]
        result = (
            ContextResult.ACCEPTANCE if common else ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
        )
        syntax = next(iter(common), syntax)
    return PresentationContextAC(proposed.context_id, result, syntax)


def _has_role(ours: SupportedContext, answered: RoleSelection | None) -> bool:
    """Tell whether any operation could be performed in a context (PS3.7 D.3.3.4)."""
    return ours.as_scp if answered is None else answered.scu or answered.scp


def _answered_roles(
    request: AAssociateRQ, supported: Mapping[str, SupportedContext]
) -> dict[str, RoleSelection]:
    answered = {}
    for role in request.user_information.role_selections:
        ours = supported.get(role.sop_class_uid)
        if ours is not None:
            answered[role.sop_class_uid] = RoleSelection(
                role.sop_class_uid, scu=role.scu and ours.as_scp, scp=role.scp and ours.as_scu
            )
    return answered


def _roles(user_information: UserInformation) -> dict[str, RoleSelection]:
    return {role.sop_class_uid: role for role in user_information.role_selections}


def accepted_by_acceptor(request: AAssociateRQ, answer: AAssociateAC) -> dict[int, AcceptedContext]:
    """List what was agreed, by context ID, from the acceptor's side."""
    return _accepted(request, answer, local_is_requestor=False)


def accepted_by_requestor(
    request: AAssociateRQ, answer: AAssociateAC
) -> dict[int, AcceptedContext]:
    """List what was agreed, by context ID, from the requestor's side.

    Contexts the answer names but the request did not, and transfer syntaxes that were
    never offered, are not agreed.
    """
    return _accepted(request, answer, local_is_requestor=True)


def _accepted(
    request: AAssociateRQ, answer: AAssociateAC, *, local_is_requestor: bool
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
        )
    return accepted


def association_request(
    calling_ae_title: str,
    called_ae_title: str,
    contexts: Sequence[ProposedContext],
    maximum_length: int = DEFAULT_MAXIMUM_LENGTH,
) -> AAssociateRQ:
    """Build the request that proposes these contexts.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` without contexts or with more than 128.
    """
    if not 1 <= len(contexts) <= MAX_CONTEXTS:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"an association proposes 1 to {MAX_CONTEXTS} presentation contexts, not {len(contexts)}",
        )
    roles = {
        context.abstract_syntax: RoleSelection(
            context.abstract_syntax, scu=context.as_scu, scp=context.as_scp
        )
        for context in contexts
        if context.as_scp
    }
    return AAssociateRQ(
        called_ae_title=called_ae_title,
        calling_ae_title=calling_ae_title,
        presentation_contexts=tuple(
            PresentationContextRQ(2 * index + 1, context.abstract_syntax, context.transfer_syntaxes)
            for index, context in enumerate(contexts)
        ),
        user_information=UserInformation(
            maximum_length=maximum_length,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version_name=IMPLEMENTATION_VERSION_NAME,
            role_selections=tuple(roles.values()),
        ),
    )


_RESULT_IN_WORDS: Final = {
    ContextResult.USER_REJECTION: "the peer's user refused it",
    ContextResult.NO_REASON: "the peer gave no reason",
    ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED: "the peer does not support the SOP class",
    ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED: "the peer supports none of the transfer syntaxes",
}


def explain_refusal(
    request: AAssociateRQ, answer: AAssociateAC, abstract_syntax: str, name: str
) -> str:
    """Say why no context that would do for a SOP class was agreed, in one sentence."""
    answers = {context.context_id: context for context in answer.presentation_contexts}
    proposed = [c for c in request.presentation_contexts if c.abstract_syntax == abstract_syntax]
    if not proposed:
        return f"{name} was not proposed to {request.called_ae_title}"
    words = "; ".join(
        f"context {context.context_id}: {_outcome(answers.get(context.context_id))}"
        f" (offered {', '.join(context.transfer_syntaxes)})"
        for context in proposed
    )
    return f"{request.called_ae_title} accepted no fitting context for {name}: {words}"


def _outcome(answer: PresentationContextAC | None) -> str:
    if answer is None:
        return "the peer did not answer it"
    if answer.result is ContextResult.ACCEPTANCE:
        return f"the peer chose {answer.transfer_syntax or 'no transfer syntax'}"
    return _RESULT_IN_WORDS[answer.result]
