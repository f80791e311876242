"""As what SOP classes that the acceptor does not know are accepted (PS3.7 D.3.3.6)."""

from __future__ import annotations

import attrs
import pytest

from pacs_sdk.network.negotiation import (
    STORAGE_SERVICE_CLASS,
    AcceptorPolicy,
    ProposedContext,
    RequestorOptions,
    SupportedContext,
    accepted_by_acceptor,
    accepted_by_requestor,
    association_request,
)
from pacs_sdk.network.pdu import AAssociateRQ, PresentationContextRQ
from pacs_sdk.network.user_information import SopClassCommonExtendedNegotiation
from tests.network.helpers import CT_IMAGE, EXPLICIT, IMPLICIT, STUDY_ROOT_FIND, VERIFICATION
from tests.network.negotiation_helpers import (
    ACCEPTED,
    JPEG_2000,
    NO_SOP_CLASS,
    PLAIN,
    answer,
    request,
)

PROCEDURE_LOG = "1.2.840.10008.5.1.4.1.1.88.40"
ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"

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
