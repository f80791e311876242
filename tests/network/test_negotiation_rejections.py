"""Which associations are rejected, and for what reason (PS3.8 Table 9-21)."""

from __future__ import annotations

import attrs
import pytest

from pacs_sdk.network.negotiation import AcceptorPolicy, negotiate
from pacs_sdk.network.pdu import (
    AAssociateRJ,
    AAssociateRQ,
    AcseRejectReason,
    RejectResult,
    RejectSource,
    UserRejectReason,
)
from pacs_sdk.network.pdu_codec import decode_pdu, encode_pdu
from tests.network.negotiation_helpers import PLAIN, POLICY, STRICT, answer


@pytest.mark.parametrize(
    ("proposal", "policy", "source", "reason", "words"),
    [
        (
            attrs.evolve(PLAIN, protocol_version=2),
            POLICY,
            RejectSource.SERVICE_PROVIDER_ACSE,
            AcseRejectReason.PROTOCOL_VERSION_NOT_SUPPORTED,
            "protocol version",
        ),
        (
            attrs.evolve(PLAIN, application_context_name="1.2.3"),
            POLICY,
            RejectSource.SERVICE_USER,
            UserRejectReason.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED,
            "application context",
        ),
        (
            attrs.evolve(PLAIN, called_ae_title="PRINTER"),
            STRICT,
            RejectSource.SERVICE_USER,
            UserRejectReason.CALLED_AE_TITLE_NOT_RECOGNIZED,
            "called AE title",
        ),
        (
            attrs.evolve(PLAIN, calling_ae_title="STRANGER"),
            STRICT,
            RejectSource.SERVICE_USER,
            UserRejectReason.CALLING_AE_TITLE_NOT_RECOGNIZED,
            "calling AE title",
        ),
    ],
)
def test_an_association_is_rejected_for_a_reason(
    proposal: AAssociateRQ,
    policy: AcceptorPolicy,
    source: RejectSource,
    reason: int,
    words: str,
) -> None:
    """Each reason of PS3.8 Table 9-21 that negotiation can find, and its words."""
    outcome = negotiate(proposal, policy)
    assert outcome == AAssociateRJ(RejectResult.REJECTED_PERMANENT, source, reason)
    assert words in outcome.explain()
    assert decode_pdu(encode_pdu(outcome)) == outcome


@pytest.mark.parametrize("protocol_version", [1, 3, 0x8001])
def test_a_version_is_a_bit(protocol_version: int) -> None:
    """Only bit 0 is tested (PS3.8 9.3.2): peers that speak later versions too are welcome."""
    answer(attrs.evolve(PLAIN, protocol_version=protocol_version))


def test_known_titles_pass_a_strict_policy() -> None:
    """The titles that are asked for are accepted."""
    answer(PLAIN, STRICT)


def test_titles_are_not_tested_unless_asked_for() -> None:
    """By default everybody may call us by any name."""
    answer(attrs.evolve(PLAIN, called_ae_title="ANYTHING", calling_ae_title="ANYONE"))
