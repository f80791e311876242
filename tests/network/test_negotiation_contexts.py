"""Which presentation contexts are proposed, accepted and agreed on (PS3.8 9.3.2.2, 9.3.3.2)."""

from __future__ import annotations

import attrs
import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.negotiation import (
    ProposedContext,
    accepted_by_acceptor,
    accepted_by_requestor,
)
from pacs_sdk.network.pdu import (
    AAssociateAC,
    ContextResult,
    PresentationContextAC,
    PresentationContextRQ,
)
from pacs_sdk.network.user_information import UserInformation
from tests.network.helpers import CT_IMAGE, EXPLICIT, IMPLICIT, VERIFICATION
from tests.network.negotiation_helpers import (
    ACCEPTED,
    JPEG_2000,
    MR_IMAGE,
    NO_SOP_CLASS,
    NO_SYNTAX,
    PLAIN,
    POLICY,
    USER,
    answer,
    request,
)

# -- the acceptor ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("abstract_syntax", "offered", "result", "chosen"),
    [
        (VERIFICATION, (IMPLICIT,), ACCEPTED, IMPLICIT),
        (VERIFICATION, (EXPLICIT, IMPLICIT), ACCEPTED, EXPLICIT),
        (VERIFICATION, (IMPLICIT, EXPLICIT), ACCEPTED, IMPLICIT),
        (CT_IMAGE, (JPEG_2000, EXPLICIT, IMPLICIT), ACCEPTED, EXPLICIT),
        (CT_IMAGE, (JPEG_2000,), NO_SYNTAX, ""),
        (CT_IMAGE, (), NO_SYNTAX, ""),
        ("1.2.3", (IMPLICIT,), NO_SOP_CLASS, ""),
        ("", (IMPLICIT,), NO_SOP_CLASS, ""),
        (MR_IMAGE, (EXPLICIT,), USER, ""),  # default roles, and we don't perform it
    ],
)
def test_a_context_is_accepted_with_the_requestors_first_supported_syntax(
    abstract_syntax: str, offered: tuple[str, ...], result: ContextResult, chosen: str
) -> None:
    """The sender's order decides, so that its stored encoding arrives untouched."""
    proposal = attrs.evolve(
        request(ProposedContext(VERIFICATION, (IMPLICIT,))),
        presentation_contexts=(PresentationContextRQ(1, abstract_syntax, offered),),
    )
    (context,) = answer(proposal).presentation_contexts
    assert context == PresentationContextAC(1, result, chosen)
    agreed = accepted_by_acceptor(proposal, answer(proposal))
    assert bool(agreed) is (result is ACCEPTED)


def test_a_malformed_proposal_is_refused_and_can_still_be_answered() -> None:
    """A transfer syntax that is no UID costs its context, not the association."""
    contexts = (
        PresentationContextRQ(1, CT_IMAGE, ("no UID",)),
        PresentationContextRQ(3, "no UID either", ("no UID", IMPLICIT)),
        PresentationContextRQ(5, VERIFICATION, ("no UID", IMPLICIT)),
    )
    proposal = attrs.evolve(
        request(ProposedContext(VERIFICATION, (IMPLICIT,))), presentation_contexts=contexts
    )
    results = [context.result for context in answer(proposal).presentation_contexts]
    assert results == [NO_SYNTAX, NO_SOP_CLASS, ACCEPTED]


def test_every_context_is_answered_under_its_own_number() -> None:
    """PS3.8 9.3.3.2: an answer for each context proposed, in the order of the proposal."""
    proposal = request(
        *(ProposedContext(uid, (IMPLICIT,)) for uid in (VERIFICATION, "1.2.3", CT_IMAGE))
    )
    contexts = answer(proposal).presentation_contexts
    assert [(context.context_id, context.result) for context in contexts] == [
        (1, ACCEPTED),
        (3, NO_SOP_CLASS),
        (5, ACCEPTED),
    ]


def test_the_answer_says_who_we_are_and_what_we_take() -> None:
    """It returns the titles and tells maximum length and implementation (PS3.8 9.3.3)."""
    policy = attrs.evolve(POLICY, contexts=POLICY.contexts.values(), maximum_length=4096)
    got = answer(request(ProposedContext(VERIFICATION, (IMPLICIT,))), policy)
    assert (got.called_ae_title, got.calling_ae_title) == ("ARCHIVE", "MODALITY")
    assert got.user_information.maximum_length == 4096
    assert got.user_information.implementation_class_uid.startswith("2.25.")
    assert got.user_information.implementation_version_name.startswith("PACS_SDK")


# -- the requestor ---------------------------------------------------------------------------


def test_contexts_are_numbered_by_odd_numbers() -> None:
    """PS3.8 9.3.2.2: 1, 3, 5 … 255, which makes 128."""
    proposal = request(*(ProposedContext(f"1.2.{n}", (IMPLICIT,)) for n in range(128)))
    numbers = [context.context_id for context in proposal.presentation_contexts]
    assert numbers == list(range(1, 256, 2))


@pytest.mark.parametrize("count", [0, 129])
def test_a_number_of_contexts_that_cannot_be_is_refused(count: int) -> None:
    """None at all, or more than there are numbers for, is the caller's mistake."""
    contexts = [ProposedContext(f"1.2.{n}", (IMPLICIT,)) for n in range(count)]
    with pytest.raises(PacsException) as raised:
        request(*contexts)
    assert raised.value.error.code is ErrorCode.INVALID_ARGUMENT
    assert f"not {count}" in raised.value.error.message


@pytest.mark.parametrize(
    "context",
    [
        PresentationContextAC(1, USER),
        PresentationContextAC(1, ContextResult.NO_REASON),
        PresentationContextAC(1, NO_SOP_CLASS),
        PresentationContextAC(1, NO_SYNTAX),
        PresentationContextAC(1, ACCEPTED, JPEG_2000),
        PresentationContextAC(1, ACCEPTED, ""),
        PresentationContextAC(3, ACCEPTED, IMPLICIT),
    ],
    ids=str,
)
def test_only_what_was_proposed_and_accepted_is_agreed(context: PresentationContextAC) -> None:
    """Refusals, syntaxes that were never offered and numbers nobody proposed are not used."""
    got = AAssociateAC("A", "B", (context,), UserInformation(0, "1.2"))
    assert accepted_by_requestor(PLAIN, got) == {}
