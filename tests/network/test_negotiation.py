"""What two application entities agree on, as tables of proposals, support and outcomes."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.negotiation import (
    STORAGE_SERVICE_CLASS,
    AcceptedContext,
    AcceptorPolicy,
    ProposedContext,
    RequestorOptions,
    SupportedContext,
    accepted_by_acceptor,
    accepted_by_requestor,
    agreed_extended,
    agreed_window,
    association_request,
    common_flags,
    explain,
    explain_refusal,
    negotiate,
)
from pacs_sdk.network.pdu import (
    AAssociateAC,
    AAssociateRJ,
    AAssociateRQ,
    AcseRejectReason,
    AsynchronousOperationsWindow,
    ContextResult,
    PresentationContextAC,
    PresentationContextRQ,
    RejectResult,
    RejectSource,
    RoleSelection,
    SopClassCommonExtendedNegotiation,
    SopClassExtendedNegotiation,
    UserIdentityAC,
    UserIdentityRQ,
    UserIdentityType,
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
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
PROCEDURE_LOG = "1.2.840.10008.5.1.4.1.1.88.40"
ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"

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


# -- the window of operations (PS3.7 D.3.3.3) --------------------------------------------------


def with_window(invoked: int, performed: int) -> AAssociateRQ:
    """Propose Verification with this window."""
    return association_request(
        "MODALITY",
        "ARCHIVE",
        [ProposedContext(VERIFICATION, (IMPLICIT,))],
        options=RequestorOptions(invoked, performed),
    )


def windowed(invoked: int, performed: int) -> AcceptorPolicy:
    """Make a policy whose acceptor invokes and performs so many operations."""
    return AcceptorPolicy(
        "ARCHIVE",
        POLICY.contexts.values(),
        max_operations_invoked=invoked,
        max_operations_performed=performed,
    )


@pytest.mark.parametrize(
    ("proposed", "ours", "expected"),
    [
        # each pair: how many operations are invoked, and how many are performed
        ((8, 1), (1, 4), (4, 1)),
        ((3, 1), (1, 4), (3, 1)),
        ((0, 1), (1, 4), (4, 1)),
        ((8, 1), (1, 0), (8, 1)),
        ((0, 0), (0, 0), (0, 0)),
        ((0, 0), (1, 1), (1, 1)),
        ((8, 6), (2, 4), (4, 2)),
        ((65535, 65535), (0, 65535), (65535, 65535)),
    ],
)
def test_the_smaller_window_is_agreed(
    proposed: tuple[int, int], ours: tuple[int, int], expected: tuple[int, int]
) -> None:
    """What the requestor invokes the acceptor performs, and 0 is any number."""
    proposal = with_window(*proposed)
    got = answer(proposal, windowed(*ours))
    assert got.user_information.asynchronous_operations_window == (
        AsynchronousOperationsWindow(*expected)
    )
    assert agreed_window(proposal, got, is_requestor=True) == expected
    assert agreed_window(proposal, got, is_requestor=False) == expected[::-1]


def test_the_window_is_four_bytes_on_the_wire() -> None:
    """The answer's sub-item, field by field (PS3.7 Table D.3-8)."""
    got = negotiate(with_window(8, 6), windowed(2, 4))
    assert (
        b"\x53"  # item type: asynchronous operations window
        b"\x00"  # reserved
        b"\x00\x04"  # item length
        b"\x00\x04"  # maximum number of operations invoked
        b"\x00\x02"  # maximum number of operations performed
    ) in encode_pdu(got)


def test_a_window_is_answered_only_if_proposed() -> None:
    """Without the item, one operation at a time holds, whatever the acceptor could do."""
    assert PLAIN.user_information.asynchronous_operations_window is None
    got = answer(PLAIN, windowed(0, 0))
    assert got.user_information.asynchronous_operations_window is None
    assert agreed_window(PLAIN, got, is_requestor=True) == (1, 1)


@pytest.mark.parametrize("is_requestor", [True, False])
def test_a_peer_that_ignores_the_window_has_one_operation_at_a_time(is_requestor: bool) -> None:
    """Nothing is agreed unless both sides say so."""
    silent = AAssociateAC(
        "A", "B", (PresentationContextAC(1, ACCEPTED, IMPLICIT),), UserInformation(0, "1.2")
    )
    assert agreed_window(with_window(8, 8), silent, is_requestor=is_requestor) == (1, 1)


def test_a_window_that_was_not_proposed_is_not_taken() -> None:
    """A peer may not grant more than was asked for, and not without being asked."""
    generous = AAssociateAC(
        "A",
        "B",
        (PresentationContextAC(1, ACCEPTED, IMPLICIT),),
        UserInformation(
            0, "1.2", asynchronous_operations_window=AsynchronousOperationsWindow(0, 9)
        ),
    )
    assert agreed_window(with_window(4, 2), generous, is_requestor=True) == (4, 2)
    assert agreed_window(PLAIN, generous, is_requestor=True) == (1, 1)


@pytest.mark.parametrize("count", [-1, 65536])
def test_a_window_that_cannot_be_sent_is_refused(count: int) -> None:
    """The item has two bytes for a number."""
    for build in (
        lambda: RequestorOptions(max_operations_invoked=count),
        lambda: AcceptorPolicy("A", [], max_operations_performed=count),
    ):
        with pytest.raises(PacsException, match="or 0 for any number") as raised:
            build()
        assert raised.value.error.code is ErrorCode.INVALID_ARGUMENT


# -- extended negotiation (PS3.7 D.3.3.5) ------------------------------------------------------


def test_application_information_is_answered_by_sop_class() -> None:
    """Fixed bytes or a function of what was proposed; only accepted SOP classes have answers."""
    seen: list[bytes] = []

    def nothing(proposed: bytes) -> None:
        seen.append(proposed)

    policy = AcceptorPolicy(
        "ARCHIVE",
        POLICY.contexts.values(),
        extended={
            CT_IMAGE: b"\x02\x00",
            STUDY_ROOT_GET: common_flags(b"\x01\x00\x01"),
            VERIFICATION: nothing,
            MR_IMAGE: b"refused in its default role",
        },
    )
    classes = (CT_IMAGE, STUDY_ROOT_GET, VERIFICATION, MR_IMAGE, "1.2.3")
    proposal = association_request(
        "MODALITY",
        "ARCHIVE",
        [ProposedContext(uid, (IMPLICIT, EXPLICIT)) for uid in classes],
        options=RequestorOptions(extended=dict.fromkeys(classes, b"\x01\x01\x02\x01")),
    )
    got = answer(proposal, policy)
    assert agreed_extended(proposal, got) == {
        CT_IMAGE: b"\x02\x00",
        STUDY_ROOT_GET: b"\x01\x00\x00\x00",
    }
    assert seen == [b"\x01\x01\x02\x01"]


def test_application_information_is_omitted_unless_proposed() -> None:
    """PS3.7 D.3.3.5: no item in the request, none in the answer."""
    policy = AcceptorPolicy("ARCHIVE", POLICY.contexts.values(), extended={VERIFICATION: b"\x01"})
    assert answer(PLAIN, policy).user_information.extended_negotiations == ()


def test_application_information_that_was_not_proposed_is_not_taken() -> None:
    """A peer's answer about another SOP class means nothing."""
    items = (SopClassExtendedNegotiation(CT_IMAGE, b"\x01"),)
    got = AAssociateAC("A", "B", (), UserInformation(0, "1.2", extended_negotiations=items))
    assert agreed_extended(PLAIN, got) == {}


@pytest.mark.parametrize(
    ("ours", "proposed", "expected"),
    [
        (b"", b"\x01\x01", b"\x00\x00"),
        (b"\x01\x01\x01", b"\x01", b"\x01"),
        (b"\x01\x00\x01", b"\x01\x01\x00", b"\x01\x00\x00"),
        (b"\x01\x01", b"\x02\xff", b"\x00\x00"),
        (b"\x01", b"", b""),
    ],
)
def test_a_flag_is_set_where_both_sides_set_it(
    ours: bytes, proposed: bytes, expected: bytes
) -> None:
    """PS3.4 C.5.1.1: one byte a behaviour, no longer than what was proposed."""
    assert common_flags(ours)(proposed) == expected


@pytest.mark.parametrize(
    "options",
    [
        RequestorOptions(extended={CT_IMAGE: b"\x01"}),
        RequestorOptions(
            common_extended=(SopClassCommonExtendedNegotiation(CT_IMAGE, STORAGE_SERVICE_CLASS),)
        ),
        RequestorOptions(
            common_extended=(
                SopClassCommonExtendedNegotiation(VERIFICATION, STORAGE_SERVICE_CLASS),
                SopClassCommonExtendedNegotiation(VERIFICATION, STORAGE_SERVICE_CLASS),
            )
        ),
    ],
    ids=["extended-of-nothing", "common-of-nothing", "common-twice"],
)
def test_extended_negotiation_is_about_one_proposed_sop_class(options: RequestorOptions) -> None:
    """PS3.7 D.3.3.5, D.3.3.6: at most one item for a SOP class that is in the request."""
    with pytest.raises(PacsException) as raised:
        association_request("A", "B", [ProposedContext(VERIFICATION, (IMPLICIT,))], options=options)
    assert raised.value.error.code is ErrorCode.INVALID_ARGUMENT


# -- unknown SOP classes (PS3.7 D.3.3.6) -------------------------------------------------------

STORING = AcceptorPolicy(
    "ARCHIVE",
    [
        SupportedContext(VERIFICATION, [IMPLICIT]),
        SupportedContext(ENHANCED_SR, [IMPLICIT, EXPLICIT, "1.2.840.10008.1.2.1.99"]),
        SupportedContext(CT_IMAGE, [EXPLICIT, IMPLICIT, JPEG_2000], as_scu=True),
        SupportedContext(STUDY_ROOT_FIND, [IMPLICIT]),
    ],
    accept_by_service_class=True,
)


def describing(uid: str, service_class: str = STORAGE_SERVICE_CLASS, *general: str) -> AAssociateRQ:
    """Propose a SOP class and say what it is generally."""
    item = SopClassCommonExtendedNegotiation(uid, service_class, general)
    return association_request(
        "MODALITY",
        "ARCHIVE",
        [ProposedContext(uid, ("1.2.840.10008.1.2.1.99", JPEG_2000, EXPLICIT, IMPLICIT))],
        options=RequestorOptions(common_extended=(item,)),
    )


@pytest.mark.parametrize(
    ("proposal", "syntax", "handled_as"),
    [
        (
            describing(PROCEDURE_LOG, STORAGE_SERVICE_CLASS, "1.2.3", ENHANCED_SR),
            "1.2.840.10008.1.2.1.99",
            ENHANCED_SR,
        ),
        (describing("1.2.3.4"), EXPLICIT, ENHANCED_SR),
        (describing("1.2.3.4", STORAGE_SERVICE_CLASS, "1.2.3"), EXPLICIT, ENHANCED_SR),
        (describing("1.2.3.4", "1.2.3"), None, None),
        (request(ProposedContext("1.2.3.4", (IMPLICIT,))), None, None),
    ],
    ids=["related", "storage", "unrelated-storage", "other-service", "undescribed"],
)
def test_an_unknown_sop_class_is_accepted_by_its_description(
    proposal: AAssociateRQ, syntax: str | None, handled_as: str | None
) -> None:
    """As its related general SOP class, else, being of Storage, with what all of them take."""
    got = answer(proposal, STORING)
    (context,) = got.presentation_contexts
    assert (context.transfer_syntax if context.result is ACCEPTED else None) == syntax
    uid = proposal.presentation_contexts[0].abstract_syntax
    supported = STORING.supporting(proposal).get(uid)
    assert (supported.abstract_syntax if supported else None) == handled_as
    assert got.user_information.common_extended_negotiations == ()  # never in a response
    if syntax is not None:
        assert accepted_by_acceptor(proposal, got)[1].abstract_syntax == uid
        assert accepted_by_requestor(proposal, got)[1].as_scu


def test_a_description_means_nothing_unless_the_policy_says_so() -> None:
    """By default an unknown SOP class is refused, whatever it is related to."""
    policy = attrs.evolve(
        STORING, contexts=STORING.contexts.values(), accept_by_service_class=False
    )
    (context,) = answer(describing("1.2.3.4"), policy).presentation_contexts
    assert context.result is NO_SOP_CLASS


def test_an_archive_without_storage_takes_no_unknown_storage() -> None:
    """There must be something that it can be handled as."""
    policy = AcceptorPolicy(
        "A", [SupportedContext(VERIFICATION, [IMPLICIT])], accept_by_service_class=True
    )
    (context,) = answer(describing("1.2.3.4"), policy).presentation_contexts
    assert context.result is NO_SOP_CLASS


def test_a_function_may_know_more_sop_classes() -> None:
    """It is asked once for each unknown one that is a UID, and never for known ones."""
    asked = []

    def private_storage(uid: str) -> SupportedContext | None:
        asked.append(uid)
        return STORING.contexts[CT_IMAGE] if uid.startswith("1.3.12.") else None

    policy = attrs.evolve(
        STORING,
        contexts=STORING.contexts.values(),
        unknown_abstract_syntax=private_storage,
    )
    uids = (CT_IMAGE, "1.3.12.1", "1.3.12.1", "1.2.3", "no UID", "")
    contexts = tuple(
        PresentationContextRQ(2 * index + 1, uid, (JPEG_2000,)) for index, uid in enumerate(uids)
    )
    proposal = attrs.evolve(PLAIN, presentation_contexts=contexts)
    results = [context.result for context in answer(proposal, policy).presentation_contexts]
    assert results == [ACCEPTED, ACCEPTED, ACCEPTED, NO_SOP_CLASS, NO_SOP_CLASS, NO_SOP_CLASS]
    assert asked == ["1.2.3", "1.3.12.1"]


@pytest.mark.parametrize(
    ("uid", "is_taken"),
    [
        ("1.2.840.113619.4.27", True),
        ("1.2.840.10008.5.1.4.1.1.999.1", True),
        ("2.25.1", True),
        ("1.2.840.10008.5.1.4.1.1.4", False),
        ("1.2.840.10008.5.1.4.1.2.2.2", False),
        ("1.2.840.10008.5.1.4.31", False),
        ("1.2.840.10008.99", False),
        ("1.2.840.10008.1.2", False),
        ("no UID", False),
    ],
    ids=[
        "private",
        "new",
        "made-up",
        "known-but-unlisted",
        "move",
        "worklist",
        "new-service",
        "transfer-syntax",
        "no-uid",
    ],
)
def test_unknown_storage_is_what_nothing_is_known_of(uid: str, is_taken: bool) -> None:
    """Private SOP classes, and those beside the storage ones that no edition has yet."""
    policy = attrs.evolve(
        STORING,
        contexts=STORING.contexts.values(),
        accept_by_service_class=False,
        accept_unknown_storage=True,
    )
    proposal = attrs.evolve(
        PLAIN, presentation_contexts=(PresentationContextRQ(1, uid, (JPEG_2000, IMPLICIT)),)
    )
    (context,) = answer(proposal, policy).presentation_contexts
    assert context.result is (ACCEPTED if is_taken else NO_SOP_CLASS)
    if is_taken:
        assert context.transfer_syntax == IMPLICIT  # what all known storage classes take
        assert policy.supporting(proposal)[uid].abstract_syntax == ENHANCED_SR


def test_unknown_storage_is_not_what_is_described_as_something_else() -> None:
    """The requestor knows better (PS3.7 D.3.3.6)."""
    policy = attrs.evolve(STORING, contexts=STORING.contexts.values(), accept_unknown_storage=True)
    (context,) = answer(describing("1.2.3.4", "1.2.3"), policy).presentation_contexts
    assert context.result is NO_SOP_CLASS
    (context,) = answer(describing("1.2.3.4"), policy).presentation_contexts
    assert context.result is ACCEPTED


def test_the_acceptor_knows_as_what_an_unknown_class_is_performed() -> None:
    """The accepted context has its own abstract syntax, and that of the service's class."""
    proposal = describing("1.2.3.4")
    got = answer(proposal, STORING)
    context = accepted_by_acceptor(proposal, got, {"1.2.3.4": CT_IMAGE})[1]
    assert (context.abstract_syntax, context.performed_as) == ("1.2.3.4", CT_IMAGE)
    assert accepted_by_acceptor(proposal, got)[1].performed_as == "1.2.3.4"
    assert accepted_by_requestor(proposal, got)[1].performed_as == "1.2.3.4"


# -- user identity (PS3.7 D.3.3.7) -------------------------------------------------------------


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        (None, None),
        (UserIdentityRQ(UserIdentityType.USERNAME, b"ann"), None),
        (
            UserIdentityRQ(
                UserIdentityType.KERBEROS_SERVICE_TICKET, b"t", positive_response_requested=True
            ),
            UserIdentityAC(b"ticket"),
        ),
    ],
    ids=["no-identity", "not-asked-for", "asked-for"],
)
def test_an_identity_is_confirmed_only_if_that_was_asked_for(
    identity: UserIdentityRQ | None, expected: UserIdentityAC | None
) -> None:
    """The answer has the sub-item only if a positive response was requested."""
    proposal = association_request(
        "MODALITY",
        "ARCHIVE",
        [ProposedContext(VERIFICATION, (IMPLICIT,))],
        options=RequestorOptions(user_identity=identity),
    )
    assert proposal.user_information.user_identity == identity
    got = negotiate(proposal, POLICY, identity_response=UserIdentityAC(b"ticket"))
    assert isinstance(got, AAssociateAC)
    assert got.user_information.user_identity_response == expected
    assert decode_pdu(encode_pdu(got)) == got


# -- properties --------------------------------------------------------------------------------

_UIDS = st.sampled_from([CT_IMAGE, MR_IMAGE, VERIFICATION, "1.2.3", "1.2.4", "no UID", ""])
_SYNTAXES = st.sampled_from([IMPLICIT, EXPLICIT, JPEG_2000, "1.2.5", "no UID", ""])
_OPERATIONS = st.one_of(st.integers(0, 4), st.integers(0, 65535))

_information = st.builds(
    UserInformation,
    st.just(0),
    st.just("1.2"),
    asynchronous_operations_window=st.none()
    | st.builds(AsynchronousOperationsWindow, _OPERATIONS, _OPERATIONS),
    role_selections=st.lists(
        st.builds(RoleSelection, _UIDS, st.booleans(), st.booleans()), max_size=5
    ).map(tuple),
    extended_negotiations=st.lists(
        st.builds(SopClassExtendedNegotiation, _UIDS, st.binary(max_size=4)), max_size=4
    ).map(tuple),
    common_extended_negotiations=st.lists(
        st.builds(
            SopClassCommonExtendedNegotiation,
            _UIDS,
            st.sampled_from([STORAGE_SERVICE_CLASS, "1.2"]),
            st.lists(_UIDS, max_size=2).map(tuple),
        ),
        max_size=4,
    ).map(tuple),
)
_requests = st.builds(
    AAssociateRQ,
    st.just("ARCHIVE"),
    st.just("MODALITY"),
    st.lists(st.tuples(_UIDS, st.lists(_SYNTAXES, max_size=4).map(tuple)), max_size=8).map(
        lambda contexts: tuple(
            PresentationContextRQ(2 * index + 1, uid, syntaxes)
            for index, (uid, syntaxes) in enumerate(contexts)
        )
    ),
    _information,
)
_policies = st.builds(
    AcceptorPolicy,
    st.just("ARCHIVE"),
    st.lists(
        st.builds(
            SupportedContext,
            st.sampled_from([CT_IMAGE, MR_IMAGE, VERIFICATION]),
            st.lists(st.sampled_from([IMPLICIT, EXPLICIT, JPEG_2000]), max_size=3),
            st.booleans(),
            st.booleans(),
        ),
        max_size=4,
    ),
    max_operations_performed=_OPERATIONS,
    max_operations_invoked=_OPERATIONS,
    extended=st.dictionaries(_UIDS, st.binary(max_size=4), max_size=3),
    accept_by_service_class=st.booleans(),
    accept_unknown_storage=st.booleans(),
)


def _at_most(count: int, limit: int) -> bool:
    """Compare two numbers of operations, where 0 is more than any number."""
    return limit == 0 or 0 < count <= limit


@given(_requests, _policies)
def test_nothing_is_accepted_that_one_side_did_not_offer(
    proposal: AAssociateRQ, policy: AcceptorPolicy
) -> None:
    """Contexts, syntaxes, roles and operations are within proposal and policy, and sendable."""
    got = answer(proposal, policy)
    supported = policy.supporting(proposal)
    assert [c.context_id for c in got.presentation_contexts] == [
        c.context_id for c in proposal.presentation_contexts
    ]
    offered = {context.context_id: context for context in proposal.presentation_contexts}
    roles = {role.sop_class_uid: role for role in proposal.user_information.role_selections}
    ours = accepted_by_acceptor(proposal, got)
    theirs = accepted_by_requestor(proposal, got)
    accepted = {c.context_id for c in got.presentation_contexts if c.result is ACCEPTED}
    assert set(ours) == set(theirs) == accepted
    for number, context in theirs.items():
        uid = offered[number].abstract_syntax
        assert context.transfer_syntax in offered[number].transfer_syntaxes
        assert context.transfer_syntax in supported[uid].transfer_syntaxes
        assert context.as_scu or context.as_scp
        role = roles.get(uid, RoleSelection(uid, scu=True, scp=False))
        assert context.as_scu <= (role.scu and supported[uid].as_scp)
        assert context.as_scp <= (role.scp and supported[uid].as_scu)
        assert (ours[number].as_scp, ours[number].as_scu) == (context.as_scu, context.as_scp)
    refused = set(offered) - set(accepted)
    assert len(explain(proposal, got, policy)) == len(refused)
    assert set(agreed_extended(proposal, got)) <= set(policy.extended)

    window = agreed_window(proposal, got, is_requestor=True)
    proposed = proposal.user_information.asynchronous_operations_window
    if proposed is None:
        assert window == (1, 1)
    else:
        assert _at_most(window.invoked, proposed.maximum_invoked)
        assert _at_most(window.invoked, policy.max_operations_performed)
        assert _at_most(window.performed, proposed.maximum_performed)
        assert _at_most(window.performed, policy.max_operations_invoked)
    assert agreed_window(proposal, got, is_requestor=False) == window[::-1]
