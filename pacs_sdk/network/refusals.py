"""Refused presentation contexts in words: which, why, what was offered, what would do.

The words go into logs, so what a peer sent is shown in a bounded length and without
control characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pydicom._uid_dict import UID_dictionary

from pacs_sdk.core.uids import MAX_UID_LENGTH, is_valid_uid
from pacs_sdk.network.contexts import AcceptorPolicy, SupportedContext
from pacs_sdk.network.pdu import (
    AAssociateAC,
    AAssociateRJ,
    AAssociateRQ,
    ContextResult,
    PresentationContextAC,
    PresentationContextRQ,
)
from pacs_sdk.network.user_information import RoleSelection

__all__ = ["explain", "explain_refusal"]

_MOST_NAMES: Final = 8
"""How many transfer syntaxes a sentence lists: enough to see the mistake. A request may offer
thousands, and a log line must not follow it."""


def _name(uid: str) -> str:
    """Name a UID as PS3.6 does; show what is none safely."""
    row = UID_dictionary.get(uid)
    if row is not None:
        return row[0]
    return uid if is_valid_uid(uid) else repr(uid[:MAX_UID_LENGTH])


def _names(uids: Iterable[str]) -> str:
    names = [_name(uid) for uid in uids]
    if not names:
        return "none"
    rest = len(names) - _MOST_NAMES
    shown = ", ".join(names[:_MOST_NAMES])
    return f"{shown} and {rest} more" if rest > 0 else shown


def _in_order(uids: Iterable[str]) -> list[str]:
    """Sort UIDs by their numbers: the plain encodings come before the compressed ones."""
    return sorted(uids, key=lambda uid: [(len(part), part) for part in uid.split(".")])


def _is_agreed(proposed: PresentationContextRQ, answer: PresentationContextAC | None) -> bool:
    return (
        answer is not None
        and answer.result is ContextResult.ACCEPTANCE
        and answer.transfer_syntax in proposed.transfer_syntaxes
    )


def explain(
    request: AAssociateRQ,
    answer: AAssociateAC | AAssociateRJ,
    policy: AcceptorPolicy | None = None,
) -> tuple[str, ...]:
    """Say of each proposed context that was not agreed why, one sentence each (PS3.8 9.3.3.2).

    Args:
        request: What was proposed.
        answer: What was answered. A rejection of the whole association is one sentence.
        policy: The acceptor's own policy, if it is the one that explains; the sentences then
            say what is supported as well.

    Returns:
        Sentences such as "context 5, CT Image Storage: none of the offered transfer syntaxes
        is supported; offered JPEG Baseline (Process 1), supported Implicit VR Little Endian";
        nothing when all contexts were agreed.
    """
    if isinstance(answer, AAssociateRJ):
        return (f"the association was {answer.explain()}",)
    answers = {context.context_id: context for context in answer.presentation_contexts}
    roles = {role.sop_class_uid: role for role in request.user_information.role_selections}
    supported = policy.supporting(request) if policy is not None else {}
    return tuple(
        f"context {proposed.context_id}, {_name(proposed.abstract_syntax)}: "
        + _why(proposed, answers.get(proposed.context_id), supported, roles)
        for proposed in request.presentation_contexts
        if not _is_agreed(proposed, answers.get(proposed.context_id))
    )


def _why(
    proposed: PresentationContextRQ,
    answer: PresentationContextAC | None,
    supported: Mapping[str, SupportedContext],
    roles: Mapping[str, RoleSelection],
) -> str:
    ours = supported.get(proposed.abstract_syntax)
    offered = f"offered {_names(proposed.transfer_syntaxes)}"
    if answer is None:
        return "it was not answered"
    match answer.result:
        case ContextResult.ACCEPTANCE:
            return f"accepted with {_chosen(answer)}, which was not offered; {offered}"
        case ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED:
            reason = f"none of the offered transfer syntaxes is supported; {offered}"
            if ours is None:
                return reason
            return f"{reason}, supported {_names(_in_order(ours.transfer_syntaxes))}"
        case ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED:
            return "the SOP class is not supported"
        case ContextResult.USER_REJECTION if ours is not None:
            role = roles.get(proposed.abstract_syntax)
            asked = "SCU" if role is None else _roles(role.scu, role.scp)
            could_be = _roles(ours.as_scp, ours.as_scu)  # seen from the requestor
            return f"the requestor proposed to be {asked}, but it can only be {could_be}"
    return _RESULT_IN_WORDS[answer.result]


def _chosen(answer: PresentationContextAC) -> str:
    return _name(answer.transfer_syntax) if answer.transfer_syntax else "no transfer syntax"


def _roles(scu: bool, scp: bool) -> str:
    return " and ".join(name for name, has in (("SCU", scu), ("SCP", scp)) if has) or "neither"


_RESULT_IN_WORDS: Final = {
    ContextResult.USER_REJECTION: "the peer's user refused it",
    ContextResult.NO_REASON: "the peer gave no reason",
    ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED: "the peer does not support the SOP class",
    ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED: "the peer supports none of the transfer syntaxes",
}


def explain_refusal(
    request: AAssociateRQ, answer: AAssociateAC, abstract_syntax: str, name: str
) -> str:
    """Say why no context that would do for a SOP class was agreed, in one sentence.

    Args:
        request: What we proposed.
        answer: What the peer answered.
        abstract_syntax: The SOP class that was wanted.
        name: What to call it.
    """
    answers = {context.context_id: context for context in answer.presentation_contexts}
    proposed = [c for c in request.presentation_contexts if c.abstract_syntax == abstract_syntax]
    if not proposed:
        return f"{name} was not proposed to {request.called_ae_title}"
    words = "; ".join(
        f"context {context.context_id}: {_outcome(answers.get(context.context_id))}"
        f" (offered {_names(context.transfer_syntaxes)})"
        for context in proposed
    )
    return f"{request.called_ae_title} accepted no fitting context for {name}: {words}"


def _outcome(answer: PresentationContextAC | None) -> str:
    if answer is None:
        return "the peer did not answer it"
    if answer.result is ContextResult.ACCEPTANCE:
        return f"the peer chose {_chosen(answer)}"
    return _RESULT_IN_WORDS[answer.result]
