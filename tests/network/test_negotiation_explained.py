"""What was refused in a negotiation, and why, in words."""

from __future__ import annotations

import attrs
import pytest

from pacs_sdk.network.negotiation import ProposedContext, explain, explain_refusal, negotiate
from pacs_sdk.network.pdu import (
    AAssociateAC,
    ContextResult,
    PresentationContextAC,
    PresentationContextRQ,
)
from pacs_sdk.network.user_information import UserInformation
from tests.network.helpers import CT_IMAGE, EXPLICIT, IMPLICIT, STUDY_ROOT_GET, VERIFICATION
from tests.network.negotiation_helpers import (
    ACCEPTED,
    JPEG_2000,
    MR_IMAGE,
    NO_SOP_CLASS,
    NO_SYNTAX,
    PLAIN,
    POLICY,
    STRICT,
    USER,
    answer,
    request,
)

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"


@pytest.mark.parametrize(
    ("contexts", "words"),
    [
        ((PresentationContextAC(1, NO_SOP_CLASS),), "the peer does not support the SOP class"),
        (
            (PresentationContextAC(1, NO_SYNTAX),),
            "the peer supports none of the transfer syntaxes (offered Implicit VR Little Endian)",
        ),
        ((PresentationContextAC(1, USER),), "the peer's user refused it"),
        ((PresentationContextAC(1, ContextResult.NO_REASON),), "the peer gave no reason"),
        ((), "the peer did not answer it"),
        (
            (PresentationContextAC(1, ACCEPTED, JPEG_2000),),
            "the peer chose JPEG 2000 Image Compression (Lossless Only)",
        ),
        ((PresentationContextAC(1, ACCEPTED),), "the peer chose no transfer syntax"),
    ],
)
def test_a_refused_context_is_explained(
    contexts: tuple[PresentationContextAC, ...], words: str
) -> None:
    """The sentence names the peer, the SOP class, the context and the reason."""
    got = AAssociateAC("A", "B", contexts, UserInformation(0, "1.2"))
    sentence = explain_refusal(PLAIN, got, VERIFICATION, "Verification")
    assert sentence.startswith("ARCHIVE accepted no fitting context for Verification: context 1: ")
    assert words in sentence


def test_a_context_that_was_never_proposed_is_explained_too() -> None:
    """The mistake is ours then, and the sentence says so."""
    sentence = explain_refusal(PLAIN, answer(PLAIN), CT_IMAGE, "CT Image Storage")
    assert sentence == "CT Image Storage was not proposed to ARCHIVE"


def test_the_acceptor_explains_what_would_have_been_supported() -> None:
    """Each refused context is one sentence that names SOP class, offer and support."""
    proposal = request(
        ProposedContext(VERIFICATION, (IMPLICIT,)),
        ProposedContext("1.2.3", (IMPLICIT,)),
        ProposedContext(CT_IMAGE, (JPEG_BASELINE, "1.2.3.4")),
        ProposedContext(MR_IMAGE, (EXPLICIT,)),
    )
    assert explain(proposal, answer(proposal), POLICY) == (
        "context 3, 1.2.3: the SOP class is not supported",
        (
            "context 5, CT Image Storage: none of the offered transfer syntaxes is supported; offered "
            "JPEG Baseline (Process 1), 1.2.3.4, supported Implicit VR Little Endian, "
            "Explicit VR Little Endian"
        ),
        "context 7, MR Image Storage: the requestor proposed to be SCU, but it can only be SCP",
    )


def test_a_refused_role_is_explained() -> None:
    """The sentence says which roles were proposed and which were to be had."""
    proposal = request(ProposedContext(STUDY_ROOT_GET, (IMPLICIT,), as_scu=False, as_scp=True))
    (sentence,) = explain(proposal, answer(proposal), POLICY)
    assert sentence.endswith("the requestor proposed to be SCP, but it can only be SCU")


@pytest.mark.parametrize(
    ("contexts", "words"),
    [
        ((PresentationContextAC(1, ACCEPTED, IMPLICIT),), None),
        ((), "it was not answered"),
        ((PresentationContextAC(1, NO_SOP_CLASS),), "the SOP class is not supported"),
        (
            (PresentationContextAC(1, NO_SYNTAX),),
            "none of the offered transfer syntaxes is supported; offered Implicit VR Little Endian",
        ),
        ((PresentationContextAC(1, USER),), "the peer's user refused it"),
        ((PresentationContextAC(1, ContextResult.NO_REASON),), "the peer gave no reason"),
        (
            (PresentationContextAC(1, ACCEPTED, EXPLICIT),),
            (
                "accepted with Explicit VR Little Endian, which was not offered; "
                "offered Implicit VR Little Endian"
            ),
        ),
        (
            (PresentationContextAC(1, ACCEPTED),),
            (
                "accepted with no transfer syntax, which was not offered; "
                "offered Implicit VR Little Endian"
            ),
        ),
    ],
)
def test_the_requestor_explains_an_answer(
    contexts: tuple[PresentationContextAC, ...], words: str | None
) -> None:
    """Without a policy the sentences say what can be seen; what was agreed has none."""
    got = AAssociateAC("A", "B", contexts, UserInformation(0, "1.2"))
    expected = () if words is None else (f"context 1, Verification SOP Class: {words}",)
    assert explain(PLAIN, got) == expected


def test_a_rejected_association_is_explained_in_one_sentence() -> None:
    """The contexts don't matter then."""
    refused = attrs.evolve(PLAIN, calling_ae_title="STRANGER")
    (sentence,) = explain(refused, negotiate(refused, STRICT), STRICT)
    assert "calling AE title" in sentence


def test_a_hostile_proposal_makes_no_hostile_log_line() -> None:
    """Line breaks are shown as escapes, and thousands of transfer syntaxes as a number."""
    syntaxes = tuple(f"1.2.{n}" for n in range(5000))
    contexts = (
        PresentationContextRQ(1, "1.2\nFAKE", (IMPLICIT,)),
        PresentationContextRQ(3, "x" * 5000, (IMPLICIT,)),
        PresentationContextRQ(5, CT_IMAGE, syntaxes),
        PresentationContextRQ(7, VERIFICATION, ("\x1b[2J",)),
        PresentationContextRQ(9, VERIFICATION, ()),
    )
    proposal = attrs.evolve(PLAIN, presentation_contexts=contexts)
    sentences = explain(proposal, answer(proposal), POLICY)
    assert len(sentences) == 5
    assert all(sentence.isprintable() and len(sentence) < 300 for sentence in sentences)
    assert "and 4992 more" in sentences[2]
    assert "offered none" in sentences[4]
