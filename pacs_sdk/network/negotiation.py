"""Negotiation: which contexts and roles two application entities agree on.

Pure functions from what was proposed and what is supported to what was accepted
(PS3.8 7.1.1, PS3.7 D.3). No state, no socket.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from pacs_sdk.network.pdu import (
    AAssociateAC,
    AAssociateRJ,
    AAssociateRQ,
    ContextResult,
    PresentationContextAC,
    PresentationContextRQ,
    RejectResult,
    RejectSource,
    RoleSelection,
    UserInformation,
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

APPLICATION_CONTEXT_NAME: Final = "1.2.840.10008.3.1.1.1"
"""The only application context DICOM has (PS3.7 A.2.1)."""

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


def _reject(source: RejectSource, reason: int, result: RejectResult) -> AAssociateRJ:
    return AAssociateRJ(result=result, source=source, reason=reason)


def negotiate(request: AAssociateRQ, policy: AcceptorPolicy) -> AAssociateAC | AAssociateRJ:
    """Answer an association request (PS3.8 9.3.3, 9.3.4).

    A context is accepted with the first of the *requestor's* transfer syntaxes that is
    supported, so that a sender's stored encoding arrives untouched.
    """
    user, permanent = RejectSource.SERVICE_USER, RejectResult.REJECTED_PERMANENT
    if not request.protocol_version & 1:
        return _reject(RejectSource.SERVICE_PROVIDER_ACSE, 2, permanent)
    if request.application_context_name != APPLICATION_CONTEXT_NAME:
        return _reject(user, 2, permanent)
    if policy.require_called_ae_title and request.called_ae_title != policy.ae_title:
        return _reject(user, 7, permanent)
    if policy.calling_ae_titles and request.calling_ae_title not in policy.calling_ae_titles:
        return _reject(user, 3, permanent)
    return AAssociateAC(
        called_ae_title=request.called_ae_title,
        calling_ae_title=request.calling_ae_title,
        presentation_contexts=tuple(
            _answer(context, policy.contexts) for context in request.presentation_contexts
        ),
        user_information=UserInformation(
            maximum_length=policy.maximum_length,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version_name=IMPLEMENTATION_VERSION_NAME,
            role_selections=_answered_roles(request, policy.contexts),
        ),
    )


def _answer(
    proposed: PresentationContextRQ, supported: Mapping[str, SupportedContext]
) -> PresentationContextAC:
    ours = supported.get(proposed.abstract_syntax)
    if ours is None:
        result, syntax = ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED, ""
    else:
        syntax = next((s for s in proposed.transfer_syntaxes if s in ours.transfer_syntaxes), "")
        result = (
            ContextResult.ACCEPTANCE if syntax else ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
        )
    # PS3.8 9.3.3.2: the sub-item is there in a refusal too, and not significant; some
    # peers insist on a well-formed UID, so the first proposed one is sent back.
    return PresentationContextAC(
        proposed.context_id, result, syntax or next(iter(proposed.transfer_syntaxes), "")
    )


def _answered_roles(
    request: AAssociateRQ, supported: Mapping[str, SupportedContext]
) -> tuple[RoleSelection, ...]:
    answered = {}  # one a SOP class, however often a peer repeats itself
    for role in request.user_information.role_selections:
        ours = supported.get(role.sop_class_uid)
        if ours is not None:
            answered[role.sop_class_uid] = RoleSelection(
                role.sop_class_uid, scu=role.scu and ours.as_scp, scp=role.scp and ours.as_scu
            )
    return tuple(answered.values())


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
    """Say why no context for a SOP class was agreed, in one sentence."""
    results = {context.context_id: context.result for context in answer.presentation_contexts}
    refused = [c for c in request.presentation_contexts if c.abstract_syntax == abstract_syntax]
    if not refused:
        return f"{name} was not proposed to {request.called_ae_title}"
    words = "; ".join(
        f"context {context.context_id}: "
        + _RESULT_IN_WORDS.get(
            results.get(context.context_id, ContextResult.NO_REASON), "the peer gave no reason"
        )
        + f" (offered {', '.join(context.transfer_syntaxes)})"
        for context in refused
    )
    return f"{request.called_ae_title} accepted no context for {name}: {words}"
