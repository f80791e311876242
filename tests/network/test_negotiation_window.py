"""How many operations may be under way on an association (PS3.7 D.3.3.3)."""

from __future__ import annotations

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.negotiation import (
    AcceptorPolicy,
    ProposedContext,
    RequestorOptions,
    agreed_window,
    association_request,
    negotiate,
)
from pacs_sdk.network.pdu import AAssociateAC, AAssociateRQ, PresentationContextAC
from pacs_sdk.network.pdu_codec import encode_pdu
from pacs_sdk.network.user_information import AsynchronousOperationsWindow, UserInformation
from tests.network.helpers import IMPLICIT, VERIFICATION
from tests.network.negotiation_helpers import ACCEPTED, PLAIN, POLICY, answer


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
