"""What two application entities agree on, as tables of proposals, support and outcomes."""

from __future__ import annotations

import attrs
import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.negotiation import (
    AcceptedContext,
    AcceptorPolicy,
    ProposedContext,
    SupportedContext,
    accepted_by_acceptor,
    accepted_by_requestor,
    association_request,
    explain_refusal,
    negotiate,
)
from pacs_sdk.network.pdu import (
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
from pacs_sdk.network.pdu_codec import decode_pdu, encode_pdu

VERIFICATION = "1.2.840.10008.1.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
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


# -- the acceptor: contexts ------------------------------------------------------------------


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


# -- the acceptor: rejections ----------------------------------------------------------------

PLAIN = request(ProposedContext(VERIFICATION, (IMPLICIT,)))
STRICT = attrs.evolve(
    POLICY,
    contexts=POLICY.contexts.values(),
    require_called_ae_title=True,
    calling_ae_titles=["MODALITY", "VIEWER"],
)


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


# -- roles (PS3.7 D.3.3.4) ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "ours", "granted", "requestor", "acceptor"),
    [
        # asked (scu, scp); ours (as_scp, as_scu); granted; who may invoke and perform what
        ((True, True), (True, True), (True, True), (True, True), (True, True)),
        ((False, True), (True, True), (False, True), (False, True), (True, False)),
        ((False, True), (False, True), (False, True), (False, True), (True, False)),
        ((True, True), (True, False), (True, False), (True, False), (False, True)),
        ((True, True), (False, True), (False, True), (False, True), (True, False)),
        ((False, True), (True, False), (False, False), None, None),
        ((True, False), (False, True), (False, False), None, None),
    ],
)
def test_roles_are_what_both_sides_can(
    asked: tuple[bool, bool],
    ours: tuple[bool, bool],
    granted: tuple[bool, bool],
    requestor: tuple[bool, bool] | None,
    acceptor: tuple[bool, bool] | None,
) -> None:
    """The requestor may be SCU where we perform, and SCP where we invoke; else it's refused."""
    proposal = attrs.evolve(
        request(ProposedContext(CT_IMAGE, (IMPLICIT,))),
        user_information=UserInformation(
            0, "1.2", role_selections=(RoleSelection(CT_IMAGE, *asked),)
        ),
    )
    as_scp, as_scu = ours
    policy = AcceptorPolicy("A", [SupportedContext(CT_IMAGE, [IMPLICIT], as_scp, as_scu)])
    got = answer(proposal, policy)
    assert got.user_information.role_selections == (RoleSelection(CT_IMAGE, *granted),)
    for expected, agreed in (
        (requestor, accepted_by_requestor(proposal, got)),
        (acceptor, accepted_by_acceptor(proposal, got)),
    ):
        if expected is None:
            assert agreed == {}
            assert got.presentation_contexts[0].result is USER
        else:
            assert agreed[1] == AcceptedContext(1, CT_IMAGE, IMPLICIT, *expected)


def test_a_c_get_requestor_receives_in_the_role_of_provider() -> None:
    """Storage is proposed with the SCP role; the query model keeps the default roles."""
    proposal = request(
        ProposedContext(STUDY_ROOT_GET, (IMPLICIT,)),
        ProposedContext(MR_IMAGE, (EXPLICIT,), as_scu=False, as_scp=True),
    )
    assert proposal.user_information.role_selections == (
        RoleSelection(MR_IMAGE, scu=False, scp=True),
    )
    got = answer(proposal)
    ours = accepted_by_requestor(proposal, got)
    assert (ours[1].as_scu, ours[1].as_scp) == (True, False)
    assert (ours[3].as_scu, ours[3].as_scp) == (False, True)
    theirs = accepted_by_acceptor(proposal, got)
    assert (theirs[1].as_scu, theirs[1].as_scp) == (False, True)
    assert (theirs[3].as_scu, theirs[3].as_scp) == (True, False)


def test_without_an_answer_about_roles_the_default_ones_hold() -> None:
    """A peer that leaves the item out has not granted anything beyond SCU."""
    proposal = request(ProposedContext(CT_IMAGE, (IMPLICIT,), as_scu=False, as_scp=True))
    silent = AAssociateAC(
        "A",
        "B",
        (PresentationContextAC(1, ACCEPTED, IMPLICIT),),
        UserInformation(0, "1.2"),
    )
    assert accepted_by_requestor(proposal, silent)[1].as_scp is False
    assert accepted_by_requestor(proposal, silent)[1].as_scu is True


@pytest.mark.parametrize("asked", [(True, False), (False, True)])
def test_a_role_that_was_not_asked_for_is_not_taken(asked: tuple[bool, bool]) -> None:
    """An acceptor that grants more than the request proposed has granted what it proposed."""
    roles = (RoleSelection(CT_IMAGE, *asked),)
    proposal = attrs.evolve(
        request(ProposedContext(CT_IMAGE, (IMPLICIT,))),
        user_information=UserInformation(0, "1.2", role_selections=roles),
    )
    generous = AAssociateAC(
        "A",
        "B",
        (PresentationContextAC(1, ACCEPTED, IMPLICIT),),
        UserInformation(0, "1.2", role_selections=(RoleSelection(CT_IMAGE, scu=True, scp=True),)),
    )
    agreed = accepted_by_requestor(proposal, generous)[1]
    assert (agreed.as_scu, agreed.as_scp) == asked


def test_a_role_for_an_unknown_sop_class_is_not_answered() -> None:
    """What we don't support gets no role."""
    proposal = request(ProposedContext("1.2.3", (IMPLICIT,), as_scp=True))
    assert answer(proposal).user_information.role_selections == ()


# -- the requestor: what an answer may not do --------------------------------------------------


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


# -- the requestor: proposals ------------------------------------------------------------------


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


# -- refusals in words -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contexts", "words"),
    [
        ((PresentationContextAC(1, NO_SOP_CLASS),), "the peer does not support the SOP class"),
        (
            (PresentationContextAC(1, NO_SYNTAX),),
            "the peer supports none of the transfer syntaxes (offered 1.2.840.10008.1.2)",
        ),
        ((PresentationContextAC(1, USER),), "the peer's user refused it"),
        ((PresentationContextAC(1, ContextResult.NO_REASON),), "the peer gave no reason"),
        ((), "the peer did not answer it"),
        ((PresentationContextAC(1, ACCEPTED, JPEG_2000),), f"the peer chose {JPEG_2000}"),
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
