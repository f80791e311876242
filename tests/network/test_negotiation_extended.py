"""What both sides tell of a SOP class in extended negotiation (PS3.7 D.3.3.5, D.3.3.6)."""

from __future__ import annotations

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.negotiation import (
    STORAGE_SERVICE_CLASS,
    AcceptorPolicy,
    ProposedContext,
    RequestorOptions,
    agreed_extended,
    association_request,
    common_flags,
)
from pacs_sdk.network.pdu import AAssociateAC
from pacs_sdk.network.user_information import (
    SopClassCommonExtendedNegotiation,
    SopClassExtendedNegotiation,
    UserInformation,
)
from tests.network.helpers import CT_IMAGE, EXPLICIT, IMPLICIT, STUDY_ROOT_GET, VERIFICATION
from tests.network.negotiation_helpers import MR_IMAGE, PLAIN, POLICY, answer


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
