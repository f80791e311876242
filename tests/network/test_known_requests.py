"""Requests that came before: read and answered from memory, unless something else decides."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from types import MappingProxyType

import attrs
import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.agreement import Acceptance, accepted_by_acceptor
from pacs_sdk.network.known_requests import KnownRequests
from pacs_sdk.network.negotiation import (
    AcceptorPolicy,
    ProposedContext,
    RequestorOptions,
    SupportedContext,
    association_request,
    negotiate,
)
from pacs_sdk.network.pdu import AAssociateRJ, AAssociateRQ, AReleaseRQ
from pacs_sdk.network.pdu_codec import decode_pdu, encode_pdu
from pacs_sdk.network.refusals import explain
from pacs_sdk.network.user_information import UserIdentityAC, UserIdentityRQ, UserIdentityType
from tests.network.helpers import (
    CT_IMAGE,
    EXPLICIT,
    IMPLICIT,
    REQUEST,
    STUDY_ROOT_FIND,
    VERIFICATION,
    accept_for,
)

POLICY = AcceptorPolicy(
    "SCP",
    [
        SupportedContext(VERIFICATION, [IMPLICIT]),
        SupportedContext(CT_IMAGE, [EXPLICIT]),
        SupportedContext(STUDY_ROOT_FIND, [EXPLICIT]),
    ],
    accept_unknown_storage=True,
)
UNKNOWN = "1.2.3.4.5"


def ask(
    calling: str = "SCU",
    *uids: str,
    options: RequestorOptions | None = None,
    syntax: str = EXPLICIT,
) -> AAssociateRQ:
    """Make a request."""
    contexts = [ProposedContext(uid, (syntax,)) for uid in uids or (CT_IMAGE,)]
    return association_request(calling, "SCP", contexts, options=options)


def read(known: KnownRequests, data: bytes) -> AAssociateRQ:
    """Read a request."""
    request = known.decode(data)
    assert isinstance(request, AAssociateRQ)
    return request


def accepted(known: KnownRequests, request: AAssociateRQ) -> Acceptance:
    """Have a request accepted."""
    answer = known.answer(request)
    assert isinstance(answer, Acceptance)
    return answer


def things_in(value: object) -> Iterable[object]:
    """Walk over a value and all that it is made of."""
    yield value
    parts: Iterable[object] = ()
    kind = type(value)
    if attrs.has(kind):
        parts = [getattr(value, field.name) for field in attrs.fields(kind)]
    elif isinstance(value, tuple):
        parts = value
    elif isinstance(value, MappingProxyType):
        parts = value.values()
    for part in parts:
        yield from things_in(part)


@pytest.mark.parametrize(
    "request_",
    [
        REQUEST,
        ask("SCU", CT_IMAGE, UNKNOWN, "1.2.840.10008.1.20.1"),
        ask("SCU", CT_IMAGE, syntax=IMPLICIT),
        ask("SCU", CT_IMAGE, options=RequestorOptions(max_operations_invoked=4)),
    ],
    ids=["roles", "unknown SOP classes", "no transfer syntax", "a window"],
)
def test_the_second_time_is_as_the_first(request_: AAssociateRQ) -> None:
    """What is remembered is what reading and negotiating give."""
    known = KnownRequests(POLICY)
    data = encode_pdu(request_)
    performed_as = {UNKNOWN: CT_IMAGE}
    for whole in (data, memoryview(data)):
        request = known.decode(whole)
        assert request == request_ == decode_pdu(data)
        assert isinstance(request, AAssociateRQ)
        acceptance = accepted(known, request)
        answer = negotiate(request_, POLICY)
        assert acceptance.answer == answer
        assert acceptance.encoded == encode_pdu(answer)
        assert acceptance.contexts == accepted_by_acceptor(
            request_, acceptance.answer, performed_as
        )
        assert acceptance.refusals == explain(request_, answer, POLICY)


def test_nothing_is_worked_out_twice() -> None:
    """The same bytes give the same object, and it the same acceptance."""
    known = KnownRequests(POLICY)
    data = encode_pdu(REQUEST)
    first, second = read(known, data), read(known, bytes(bytearray(data)))
    assert first is second
    assert accepted(known, first) is accepted(known, second)


def test_what_is_remembered_cannot_be_changed() -> None:
    """Associations share it, so no part of it can be written to."""
    known = KnownRequests(POLICY)
    options = RequestorOptions(max_operations_invoked=2)
    request = read(known, encode_pdu(ask("SCU", CT_IMAGE, UNKNOWN, options=options)))
    for thing in things_in((request, accepted(known, request))):
        is_frozen = attrs.has(type(thing)) and type(thing).__setattr__ is not object.__setattr__
        plain = (str, bytes, int, enum.Enum, tuple, MappingProxyType, type(None))
        assert is_frozen or isinstance(thing, plain), thing


def test_one_byte_makes_another_request() -> None:
    """Of another application entity."""
    known = KnownRequests(POLICY)
    for title in ("SCU", "SCV"):
        request = read(known, encode_pdu(ask(title)))
        assert request.calling_ae_title == title
        assert accepted(known, request).answer.calling_ae_title == title


def test_who_pads_otherwise_is_answered_otherwise() -> None:
    """What is reserved in a request is returned as it came (PS3.8 Table 9-17)."""
    known = KnownRequests(POLICY)
    plain = encode_pdu(ask())
    odd = plain[:10] + b"SCP\0stale AE    " + plain[26:42] + bytes(range(32)) + plain[74:]
    for _ in range(2):
        for data in (plain, odd):
            request = read(known, data)
            assert request == ask()
            assert accepted(known, request).encoded[10:74] == data[10:74]
            assert accepted(known, request) is accepted(known, request)


def test_an_identity_is_forgotten() -> None:
    """Its passcode is not kept, and each user gets the answer that was made for him or her."""
    identity = UserIdentityRQ(
        UserIdentityType.USERNAME_AND_PASSCODE, b"ada", b"secret", positive_response_requested=True
    )
    known = KnownRequests(POLICY)
    data = encode_pdu(ask(options=RequestorOptions(user_identity=identity)))
    first, second = read(known, data), read(known, data)
    assert first == second
    assert first is not second
    for response in (UserIdentityAC(b"one"), UserIdentityAC(b"two"), None):
        answer = known.answer(second, response)
        assert isinstance(answer, Acceptance)
        assert answer.answer.user_information.user_identity_response == response


def test_functions_of_the_policy_are_asked_every_time() -> None:
    """They may answer otherwise than before."""
    answers = iter([b"\x01", b"\x00", None])
    policy = attrs.evolve(
        POLICY,
        contexts=POLICY.contexts.values(),
        extended={STUDY_ROOT_FIND: lambda _: next(answers)},
    )
    known = KnownRequests(policy)
    options = RequestorOptions(extended={STUDY_ROOT_FIND: b"\x01"})
    request = read(known, encode_pdu(ask("SCU", STUDY_ROOT_FIND, options=options)))
    given = [accepted(known, request).answer.user_information for _ in range(3)]
    assert [
        [item.application_information for item in one.extended_negotiations] for one in given
    ] == [[b"\x01"], [b"\x00"], []]


def test_what_knows_unknown_sop_classes_is_asked_every_time() -> None:
    """It may have learned of them meanwhile."""
    learned: dict[str, SupportedContext] = {}
    policy = AcceptorPolicy("SCP", POLICY.contexts.values(), unknown_abstract_syntax=learned.get)
    known = KnownRequests(policy)
    request = read(known, encode_pdu(ask("SCU", UNKNOWN)))
    assert not accepted(known, request).contexts
    learned[UNKNOWN] = POLICY.contexts[CT_IMAGE]
    assert accepted(known, request).contexts[1].performed_as == CT_IMAGE


def test_a_request_that_was_not_read_here_is_answered() -> None:
    """It is not remembered: nobody knows how long it was."""
    known = KnownRequests(POLICY)
    assert accepted(known, REQUEST) == accepted(known, REQUEST)
    assert accepted(known, REQUEST) is not accepted(known, REQUEST)


def test_a_long_request_is_not_remembered() -> None:
    """Memory that a stranger could make us use is bounded."""
    known = KnownRequests(POLICY)
    contexts = [ProposedContext(f"{UNKNOWN}.{number}", (EXPLICIT,) * 5) for number in range(128)]
    data = encode_pdu(association_request("SCU", "SCP", contexts))
    assert len(data) > 1 << 14
    assert read(known, data) is not read(known, data)


def test_who_sends_ever_new_requests_makes_us_forget() -> None:
    """Some of them are remembered, never all, and each is answered."""
    known = KnownRequests(POLICY)
    data = [encode_pdu(ask(f"SCU{number}")) for number in range(100)]
    first = [read(known, whole) for whole in data]
    for number, request in enumerate(first):
        assert accepted(known, request).answer.calling_ae_title == f"SCU{number}"
    same = sum(read(known, whole) is request for whole, request in zip(data, first, strict=True))
    assert same <= 64
    assert read(known, data[-1]) is read(known, data[-1])


def test_what_cannot_be_read_is_an_error_every_time() -> None:
    """Nothing of it is remembered."""
    known = KnownRequests(POLICY)
    data = bytearray(encode_pdu(REQUEST))
    data[5] += 1
    for _ in range(2):
        with pytest.raises(PacsException) as raised:
            known.decode(bytes(data))
        assert raised.value.error.code is ErrorCode.INVALID_PDU


def test_other_pdus_are_read_as_ever() -> None:
    """Only requests come again."""
    assert KnownRequests(POLICY).decode(encode_pdu(AReleaseRQ())) == AReleaseRQ()


def test_a_rejection_is_made_every_time() -> None:
    """It costs nothing to speak of."""
    known = KnownRequests(POLICY)
    strange = attrs.evolve(REQUEST, application_context_name="1.2.3")
    request = read(known, encode_pdu(strange))
    for _ in range(2):
        assert isinstance(known.answer(request), AAssociateRJ)


def test_an_acceptance_that_cannot_be_written_is_none() -> None:
    """The local user's mistake is told before anything is sent."""
    bad = attrs.evolve(accept_for(REQUEST), protocol_version=2)
    with pytest.raises(PacsException) as raised:
        Acceptance.of(REQUEST, bad)
    assert raised.value.error.code is ErrorCode.INVALID_PDU
