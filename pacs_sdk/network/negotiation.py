"""Negotiation: which contexts and roles two application entities agree on.

Pure functions from what was proposed and what is supported to what was accepted
(PS3.8 7.1.1, PS3.7 D.3). No state, no socket. The values are in
:mod:`pacs_sdk.network.contexts`, what follows from an answer is in
:mod:`pacs_sdk.network.agreement`, and the words for refusals in
:mod:`pacs_sdk.network.refusals`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.uids import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    is_valid_uid,
)
from pacs_sdk.network.agreement import (
    OperationsWindow,
    accepted_by_acceptor,
    accepted_by_requestor,
    agreed_extended,
    agreed_window,
    fewer,
)
from pacs_sdk.network.contexts import (
    DEFAULT_MAXIMUM_LENGTH,
    STORAGE_SERVICE_CLASS,
    AcceptedContext,
    AcceptorPolicy,
    ExtendedAnswer,
    ProposedContext,
    RequestorOptions,
    SupportedContext,
    common_flags,
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
    UserRejectReason,
)
from pacs_sdk.network.refusals import explain, explain_refusal
from pacs_sdk.network.user_information import (
    AsynchronousOperationsWindow,
    RoleSelection,
    SopClassExtendedNegotiation,
    UserIdentityAC,
    UserInformation,
)

__all__ = [
    "DEFAULT_MAXIMUM_LENGTH",
    "MAX_CONTEXTS",
    "STORAGE_SERVICE_CLASS",
    "AcceptedContext",
    "AcceptorPolicy",
    "ExtendedAnswer",
    "OperationsWindow",
    "ProposedContext",
    "RequestorOptions",
    "SupportedContext",
    "accepted_by_acceptor",
    "accepted_by_requestor",
    "agreed_extended",
    "agreed_window",
    "association_request",
    "common_flags",
    "explain",
    "explain_refusal",
    "negotiate",
]

MAX_CONTEXTS: Final = 128
"""Presentation context IDs are the odd numbers 1 to 255 (PS3.8 9.3.2.2)."""

# -- the acceptor --------------------------------------------------------------------------


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


def negotiate(
    request: AAssociateRQ,
    policy: AcceptorPolicy,
    *,
    identity_response: UserIdentityAC | None = None,
) -> AAssociateAC | AAssociateRJ:
    """Answer an association request (PS3.8 9.3.3, 9.3.4).

    A context is accepted with the first of the *requestor's* transfer syntaxes that is
    supported, so that a sender's stored encoding arrives untouched; unless the acceptor prefers
    another one of them.

    Args:
        request: What is proposed.
        policy: What is supported.
        identity_response: The answer to a user identity that was verified. It is sent only if
            the request has an identity and asks for an answer (PS3.7 D.3.3.7).

    Returns:
        The acceptance, in which single contexts may be refused, or the rejection.
    """
    rejection = _rejection(request, policy)
    if rejection is not None:
        return rejection
    supported = policy.supporting(request)
    roles = _answered_roles(request, supported)
    contexts = tuple(
        [
            _answer(context, supported.get(context.abstract_syntax), roles)
            for context in request.presentation_contexts
        ]
    )
    return AAssociateAC(
        called_ae_title=request.called_ae_title,
        calling_ae_title=request.calling_ae_title,
        presentation_contexts=contexts,
        user_information=_answered_information(request, policy, contexts, roles, identity_response),
        returned_fields=request.received_fields,
    )


def _answer(
    proposed: PresentationContextRQ,
    ours: SupportedContext | None,
    roles: Mapping[str, RoleSelection],
) -> PresentationContextAC:
    role = roles.get(proposed.abstract_syntax)
    if ours is None:
        result = ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
    elif not _has_role(ours, role):
        result = ContextResult.USER_REJECTION
    else:
        syntaxes = (
            ours.transfer_syntaxes
            if role is None
            else ours.syntaxes_in(as_scp=role.scu, as_scu=role.scp)
        )
        for uid in _in_our_order(proposed, ours, role):
            if uid in syntaxes:
                return PresentationContextAC(proposed.context_id, ContextResult.ACCEPTANCE, uid)
        result = ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
    # PS3.8 9.3.3.2: the sub-item is there in a refusal too, and not significant; some
    # peers insist on a well-formed UID, so the first proposed one is sent back.
    syntax = next(filter(is_valid_uid, proposed.transfer_syntaxes), "")
    return PresentationContextAC(proposed.context_id, result, syntax)


def _in_our_order(
    proposed: PresentationContextRQ, ours: SupportedContext, role: RoleSelection | None
) -> Sequence[str]:
    """List what is proposed: what we prefer to be sent first, then in the requestor's order."""
    if not ours.preferred or not (role is None or role.scu):
        return proposed.transfer_syntaxes
    wanted = [uid for uid in ours.preferred if uid in proposed.transfer_syntaxes]
    return [*wanted, *proposed.transfer_syntaxes]


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


def _answered_information(
    request: AAssociateRQ,
    policy: AcceptorPolicy,
    contexts: Sequence[PresentationContextAC],
    roles: Mapping[str, RoleSelection],
    identity_response: UserIdentityAC | None,
) -> UserInformation:
    asked = request.user_information
    window = asked.asynchronous_operations_window
    identity = asked.user_identity
    if identity is None or not identity.positive_response_requested:
        identity_response = None
    extended = _answered_extended(request, policy, contexts)
    plain = policy.plain_information
    if window is None and identity_response is None and not roles and not extended:
        return plain
    return attrs.evolve(
        plain,
        role_selections=tuple(roles.values()),
        asynchronous_operations_window=None if window is None else _narrowed(window, policy),
        extended_negotiations=extended,
        user_identity_response=identity_response,
    )


def _narrowed(
    window: AsynchronousOperationsWindow, policy: AcceptorPolicy
) -> AsynchronousOperationsWindow:
    return AsynchronousOperationsWindow(
        maximum_invoked=fewer(window.maximum_invoked, policy.max_operations_performed),
        maximum_performed=fewer(window.maximum_performed, policy.max_operations_invoked),
    )


def _answered_extended(
    request: AAssociateRQ, policy: AcceptorPolicy, contexts: Sequence[PresentationContextAC]
) -> tuple[SopClassExtendedNegotiation, ...]:
    """Answer for the accepted SOP classes whose application information we understand."""
    proposed = {
        item.sop_class_uid: item.application_information
        for item in request.user_information.extended_negotiations
        if item.sop_class_uid in policy.extended
    }
    if not proposed:
        return ()
    usable = {
        ours.abstract_syntax
        for ours, context in zip(request.presentation_contexts, contexts, strict=True)
        if context.result is ContextResult.ACCEPTANCE
    }
    answered = []
    for uid, theirs in proposed.items():
        how = policy.extended[uid]
        if uid in usable:
            ours = how if isinstance(how, bytes) else how(theirs)
            if ours is not None:
                answered.append(SopClassExtendedNegotiation(uid, ours))
    return tuple(answered)


# -- the requestor -------------------------------------------------------------------------


def association_request(
    calling_ae_title: str,
    called_ae_title: str,
    contexts: Sequence[ProposedContext],
    maximum_length: int = DEFAULT_MAXIMUM_LENGTH,
    *,
    options: RequestorOptions | None = None,
) -> AAssociateRQ:
    """Build the request that proposes these contexts.

    Args:
        calling_ae_title: Our AE title.
        called_ae_title: The peer's AE title.
        contexts: What to propose, 1 to 128 of them.
        maximum_length: The longest P-DATA-TF variable field we take, in bytes.
        options: What to negotiate beside the contexts.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` without contexts, with more than 128, or with
            application information of a SOP class that no context proposes.
    """
    if not 1 <= len(contexts) <= MAX_CONTEXTS:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"an association proposes 1 to {MAX_CONTEXTS} presentation contexts, not {len(contexts)}",
        )
    options = options or RequestorOptions()
    _check_described(contexts, options)
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
            asynchronous_operations_window=_proposed_window(options),
            role_selections=tuple(roles.values()),
            extended_negotiations=tuple(
                SopClassExtendedNegotiation(uid, information)
                for uid, information in options.extended.items()
            ),
            common_extended_negotiations=options.common_extended,
            user_identity=options.user_identity,
        ),
    )


def _proposed_window(options: RequestorOptions) -> AsynchronousOperationsWindow | None:
    window = AsynchronousOperationsWindow(
        options.max_operations_invoked, options.max_operations_performed
    )
    # One at a time is what holds without the item, and old peers don't know it.
    return None if window == AsynchronousOperationsWindow(1, 1) else window


def _check_described(contexts: Sequence[ProposedContext], options: RequestorOptions) -> None:
    """Check what the standard says of items about a SOP class (PS3.7 D.3.3.5, D.3.3.6)."""
    described = [*options.extended, *(item.sop_class_uid for item in options.common_extended)]
    if not described:
        return
    proposed = {context.abstract_syntax for context in contexts}
    for uid in described:
        if uid not in proposed:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"extended negotiation is about {uid}, which no presentation context proposes",
                sop_class_uid=uid,
            )
    common = [item.sop_class_uid for item in options.common_extended]
    if len(set(common)) != len(common):
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            "common extended negotiation describes a SOP class twice",
        )
