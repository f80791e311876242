"""What the tests of negotiation share: a policy, proposals and the answers to them."""

from __future__ import annotations

import attrs

from pacs_sdk.network.negotiation import (
    AcceptorPolicy,
    ProposedContext,
    SupportedContext,
    association_request,
    negotiate,
)
from pacs_sdk.network.pdu import AAssociateAC, AAssociateRQ, ContextResult
from pacs_sdk.network.pdu_codec import decode_pdu, encode_pdu
from tests.network.helpers import CT_IMAGE, EXPLICIT, IMPLICIT, STUDY_ROOT_GET, VERIFICATION

__all__ = [
    "ACCEPTED",
    "JPEG_2000",
    "MR_IMAGE",
    "NO_SOP_CLASS",
    "NO_SYNTAX",
    "PLAIN",
    "POLICY",
    "STRICT",
    "USER",
    "answer",
    "request",
]

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
JPEG_2000 = "1.2.840.10008.1.2.4.90"

ACCEPTED = ContextResult.ACCEPTANCE
NO_SOP_CLASS = ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
NO_SYNTAX = ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
USER = ContextResult.USER_REJECTION

POLICY = AcceptorPolicy(
    "ARCHIVE",
    [
        SupportedContext(VERIFICATION, [IMPLICIT, EXPLICIT]),
        SupportedContext(CT_IMAGE, [IMPLICIT, EXPLICIT], as_scp=True, as_scu=True),
        SupportedContext(MR_IMAGE, [EXPLICIT], as_scp=False, as_scu=True),
        SupportedContext(STUDY_ROOT_GET, [IMPLICIT]),
    ],
)


def request(*contexts: ProposedContext) -> AAssociateRQ:
    """Build a request as our own requestor does."""
    return association_request("MODALITY", "ARCHIVE", contexts)


def answer(proposal: AAssociateRQ, policy: AcceptorPolicy = POLICY) -> AAssociateAC:
    """Negotiate what must be accepted, and send the answer over the wire and back."""
    outcome = negotiate(proposal, policy)
    assert isinstance(outcome, AAssociateAC)
    on_the_wire = decode_pdu(encode_pdu(outcome))
    assert isinstance(on_the_wire, AAssociateAC)
    return on_the_wire


PLAIN = request(ProposedContext(VERIFICATION, (IMPLICIT,)))
STRICT = attrs.evolve(
    POLICY,
    contexts=POLICY.contexts.values(),
    require_called_ae_title=True,
    calling_ae_titles=["MODALITY", "VIEWER"],
)
