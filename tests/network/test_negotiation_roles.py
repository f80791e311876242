"""Who may be SCU and SCP of a SOP class (PS3.7 D.3.3.4)."""

from __future__ import annotations

import attrs
import pytest

from pacs_sdk.network.negotiation import (
    AcceptedContext,
    AcceptorPolicy,
    ProposedContext,
    SupportedContext,
    accepted_by_acceptor,
    accepted_by_requestor,
)
from pacs_sdk.network.pdu import AAssociateAC, PresentationContextAC
from pacs_sdk.network.user_information import RoleSelection, UserInformation
from tests.network.helpers import CT_IMAGE, EXPLICIT, IMPLICIT, STUDY_ROOT_GET
from tests.network.negotiation_helpers import ACCEPTED, MR_IMAGE, USER, answer, request


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
