"""What holds for every negotiation: nothing is agreed that one side did not offer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.network.negotiation import (
    STORAGE_SERVICE_CLASS,
    AcceptorPolicy,
    SupportedContext,
    accepted_by_acceptor,
    accepted_by_requestor,
    agreed_extended,
    agreed_window,
    explain,
)
from pacs_sdk.network.pdu import AAssociateRQ, PresentationContextRQ
from pacs_sdk.network.user_information import (
    AsynchronousOperationsWindow,
    RoleSelection,
    SopClassCommonExtendedNegotiation,
    SopClassExtendedNegotiation,
    UserInformation,
)
from tests.network.helpers import CT_IMAGE, EXPLICIT, IMPLICIT, VERIFICATION
from tests.network.negotiation_helpers import ACCEPTED, JPEG_2000, MR_IMAGE, answer

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
