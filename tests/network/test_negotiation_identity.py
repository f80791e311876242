"""When the answer confirms a user's identity (PS3.7 D.3.3.7)."""

from __future__ import annotations

import pytest

from pacs_sdk.network.negotiation import (
    ProposedContext,
    RequestorOptions,
    association_request,
    negotiate,
)
from pacs_sdk.network.pdu import AAssociateAC
from pacs_sdk.network.pdu_codec import decode_pdu, encode_pdu
from pacs_sdk.network.user_information import UserIdentityAC, UserIdentityRQ, UserIdentityType
from tests.network.helpers import IMPLICIT, VERIFICATION
from tests.network.negotiation_helpers import POLICY


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
