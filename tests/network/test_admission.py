"""Who may associate: AE titles, addresses, numbers, and the embedding program's own word."""

from __future__ import annotations

import threading
from fnmatch import fnmatchcase

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Success

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.admission import (
    Admission,
    AdmissionRules,
    Admitted,
    AeTitlePattern,
    PeerCounter,
    PeerRule,
    Refused,
    admission_rules,
    over_peer_limit,
)
from pacs_sdk.network.messages import AssociationInfo
from pacs_sdk.network.negotiation import ProposedContext, association_request
from pacs_sdk.network.pdu import (
    AAssociateRJ,
    AAssociateRQ,
    AcseRejectReason,
    RejectResult,
    RejectSource,
    UserRejectReason,
)
from pacs_sdk.network.pdu_codec import encode_pdu
from pacs_sdk.network.peer_rules import peer_rule
from pacs_sdk.testing import RecordingLogger

HOST = "10.1.2.3"

CALLING = AAssociateRJ(
    RejectResult.REJECTED_PERMANENT,
    RejectSource.SERVICE_USER,
    UserRejectReason.CALLING_AE_TITLE_NOT_RECOGNIZED,
)
CALLED = attrs.evolve(CALLING, reason=UserRejectReason.CALLED_AE_TITLE_NOT_RECOGNIZED)
FAULT = AAssociateRJ(
    RejectResult.REJECTED_TRANSIENT,
    RejectSource.SERVICE_PROVIDER_ACSE,
    AcseRejectReason.NO_REASON_GIVEN,
)


def calling(title: str, called: str = "ARCHIVE") -> AAssociateRQ:
    """Make a request from an AE title."""
    contexts = [ProposedContext("1.2.840.10008.1.1", ("1.2.840.10008.1.2",))]
    return association_request(title, called, contexts)


def peer(host: str = HOST) -> AssociationInfo:
    """Say who is at the other end."""
    return AssociationInfo(
        peer_host=host,
        peer_port=40000,
        calling_ae_title="CT1",
        called_ae_title="ARCHIVE",
        peer_implementation_class_uid="1.2",
        peer_implementation_version_name="",
    )


# -- patterns of AE titles ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "title", "fits"),
    [
        ("CT1", "CT1", True),
        ("CT1", "CT12", False),
        ("CT1", "ct1", False),  # AE titles are case-sensitive
        ("CT1", "  CT1 ", True),  # spaces around a title mean nothing
        (" CT1  ", "CT1", True),
        ("CT1", "C T1", False),
        ("CT*", "CT", True),
        ("CT*", "CT_ROOM_1", True),
        ("CT*", "ACT", False),
        ("*", "", True),
        ("CT?", "CT1", True),
        ("CT?", "CT", False),
        ("CT?", "CT12", False),
        ("*CT*", "MY_CT_1", True),
        ("A*B*C", "AxBxBxC", True),
        ("A*B*C", "AC", False),
        ("A*A", "A", False),
        ("C.1", "CX1", False),
        ("C[1]", "C1", False),
        ("C[1]", "C[1]", True),
        ("A?*", "A", False),
    ],
)
def test_a_title_fits_a_pattern(pattern: str, title: str, fits: bool) -> None:
    """``*`` is any text and ``?`` one character; all else means itself."""
    assert AeTitlePattern(pattern).matches(title) is fits


@given(
    st.text("AB*?", min_size=1, max_size=12),
    st.text("AB", max_size=16),
)
def test_patterns_match_as_in_a_shell(pattern: str, title: str) -> None:
    """The standard library's matcher agrees about every pattern without brackets."""
    assert AeTitlePattern(pattern).matches(title) is fnmatchcase(title, pattern)


def test_a_hostile_title_costs_no_time() -> None:
    """Many stars and a title that nearly fits: no matching by trying all ways there are.

    A matcher that goes back would need more steps here than a test run has seconds.
    """
    pattern = AeTitlePattern("*" + "A*" * 15 + "B")
    assert not pattern.matches("A" * 5000)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("ABCDEFGHIJKLMNOPQ", "17 characters, more than 16"),
        ("C\\T", "without backslash"),
        ("CT\n", "no AE title has"),
        ("ÄRZTE", "no AE title has"),
    ],
)
def test_what_is_no_title_is_no_pattern(text: str, words: str) -> None:
    """The message says what is wrong."""
    with pytest.raises(PacsException, match=words) as raised:
        AeTitlePattern(text)
    assert raised.value.error.code is ErrorCode.INVALID_CONFIGURATION


def test_stars_are_not_counted_as_characters() -> None:
    """A title of 16 characters may have wildcards around it."""
    assert AeTitlePattern("*ABCDEFGHIJKLMNOP*").matches("ABCDEFGHIJKLMNOP")


# -- peers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "host", "allowed"),
    [
        ("*@10.1.0.0/16", "10.1.255.255", True),
        ("*@10.1.0.0/16", "10.2.0.0", False),
        ("*@10.1.2.3", "10.1.2.3", True),
        ("*@10.1.2.3", "10.1.2.4", False),
        ("*@10.1.0.0/16", "::ffff:10.1.2.3", True),  # as an IPv6 socket shows an IPv4 peer
        ("*@::ffff:10.1.0.0/112", "10.1.2.3", True),
        ("*@::ffff:10.1.0.0/112", "::ffff:10.2.2.3", False),
        ("*@2001:db8::/32", "2001:db8:1::1", True),
        ("*@2001:db8::/32", "2001:db9::1", False),
        ("*@2001:db8::/32", "10.1.2.3", False),
        ("*@0.0.0.0/0", "2001:db8::1", False),
        ("*@fe80::/10", "fe80::1%eth0", True),
        ("*@10.1.0.0/16, 2001:db8::/32", "2001:db8::1", True),
        ("*@10.1.0.0/16,10.3.0.0/16", "10.3.0.1", True),
        ("*@0.0.0.0/0", "localhost", False),  # a name is no address
        ("*@0.0.0.0/0", "", False),
    ],
)
def test_an_address_lies_in_a_network(rule: str, host: str, allowed: bool) -> None:
    """IPv4 and IPv6; an IPv4 address in an IPv6 one is the IPv4 address."""
    assert PeerRule.of(rule).allows(host) is allowed


def test_a_rule_is_written_as_it_is_read() -> None:
    """The last ``@`` counts: an AE title may have one."""
    rule = peer_rule(" A@B* @10.1.0.0/16,2001:db8::/32").unwrap()
    assert rule.title.matches("A@BC")
    assert str(rule) == "A@B*@10.1.0.0/16,2001:db8::/32"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("CT1", "write TITLE@NETWORK"),
        ("@10.0.0.0/8", r"write \* for any title"),
        ("CT1@", "the network behind @ is missing"),
        ("CT1@10.0.0.0/8,", "the network behind @ is missing"),
        ("CT1@10.1.2.3/16", "write 10.1.0.0/16 for the network, or 10.1.2.3"),
        ("CT1@10.0.0.0/33", "'10.0.0.0/33' is no IP network"),
        ("CT1@hospital", "'hospital' is no IP network; write for instance 10.1.0.0/16"),
        ("CT_OF_THE_BASEMENT@10.0.0.0/8", "more than 16"),
    ],
)
def test_a_wrong_rule_says_what_is_wrong(text: str, words: str) -> None:
    """The message names the rule, and how to write it."""
    match peer_rule(text):
        case Failure(error):
            assert error.code is ErrorCode.INVALID_CONFIGURATION
            assert text in error.message
            with pytest.raises(PacsException, match=words):
                PeerRule.of(text)
        case Success(rule):
            pytest.fail(f"{rule} was read")


# -- rules -------------------------------------------------------------------------------------

BOUND = ["CT*@10.1.0.0/16", "CT9@10.9.0.0/16", "MR1@2001:db8::/32"]


@pytest.mark.parametrize(
    ("rules", "title", "host", "answer"),
    [
        (AdmissionRules(), "ANYONE", HOST, None),
        (AdmissionRules(["CT*", "VIEWER"]), "CT1", HOST, None),
        (AdmissionRules(["CT*", "VIEWER"]), "VIEWER", HOST, None),
        (AdmissionRules(["CT*", "VIEWER"]), "VIEWER2", HOST, CALLING),
        (AdmissionRules(peers=BOUND), "CT1", HOST, None),
        (AdmissionRules(peers=BOUND), "CT1", "10.2.0.1", CALLING),
        (AdmissionRules(peers=BOUND), "CT9", "10.9.0.1", None),  # either rule will do
        (AdmissionRules(peers=BOUND), "CT9", HOST, None),
        (AdmissionRules(peers=BOUND), "MR1", HOST, CALLING),
        (AdmissionRules(peers=BOUND), "VIEWER", HOST, CALLING),  # nobody else may call
        (AdmissionRules(["*"], BOUND), "VIEWER", "192.0.2.1", None),
        (AdmissionRules(["*"], BOUND), "CT1", "192.0.2.1", CALLING),  # bound in any case
        (AdmissionRules(["CT1"], BOUND), "CT1", "192.0.2.1", CALLING),
    ],
)
def test_titles_and_addresses_decide(
    rules: AdmissionRules, title: str, host: str, answer: AAssociateRJ | None
) -> None:
    """A title must be registered, and come from where it is bound to (PS3.8 9.3.4)."""
    assert rules.admit(calling(title), host) == answer


@pytest.mark.parametrize(
    ("called", "answer"),
    [("ARCHIVE", None), ("OLD_PACS_3", None), ("PRINTER", CALLED), ("archive", CALLED)],
)
def test_the_called_title_is_ours_or_an_alias(called: str, answer: AAssociateRJ | None) -> None:
    """With the flag set, a request for somebody else is rejected."""
    rules = AdmissionRules(called_ae_titles=["ARCHIVE", "OLD_PACS*"], require_called_ae_title=True)
    assert rules.admit(calling("CT1", called), HOST) == answer


def test_the_called_title_is_not_tested_unless_asked_for() -> None:
    """By default everybody may call us by any name."""
    assert AdmissionRules(called_ae_titles=["ARCHIVE"]).admit(calling("CT1", "X"), HOST) is None


@pytest.mark.parametrize(
    ("rules", "request_", "words"),
    [
        (AdmissionRules(["CT1"]), calling("CT2"), "AE title 'CT2' is not registered"),
        (
            AdmissionRules(peers=["CT*@10.2.0.0/16"]),
            calling("CT2"),
            "'CT2' may not call from 10.1.2.3; bound by CT*@10.2.0.0/16",
        ),
        (
            AdmissionRules(peers=[f"CT2@10.2.{n}.0/24" for n in range(9)]),
            calling("CT2"),
            (
                "'CT2' may not call from 10.1.2.3; bound by CT2@10.2.0.0/24 and CT2@10.2.1.0/24 and "
                "CT2@10.2.2.0/24 and CT2@10.2.3.0/24 and others"
            ),
        ),
        (
            AdmissionRules(called_ae_titles=["A"], require_called_ae_title=True),
            calling("CT2"),
            "it called 'ARCHIVE', which is none of our AE titles",
        ),
    ],
)
def test_a_refusal_says_why(rules: AdmissionRules, request_: AAssociateRQ, words: str) -> None:
    """The words are for our log, so they may say more than the peer is told."""
    decision = rules.decide(request_, HOST)
    assert isinstance(decision, Refused)
    assert decision.reason == words


@pytest.mark.parametrize(
    ("rejection", "result", "source", "reason"),
    [
        (CALLING, b"\x01", b"\x01", b"\x03"),
        (CALLED, b"\x01", b"\x01", b"\x07"),
        (over_peer_limit(), b"\x02", b"\x03", b"\x02"),
        (FAULT, b"\x02", b"\x02", b"\x01"),
    ],
)
def test_a_rejection_on_the_wire(
    rejection: AAssociateRJ, result: bytes, source: bytes, reason: bytes
) -> None:
    """A-ASSOCIATE-RJ, field by field (PS3.8 Table 9-21)."""
    assert encode_pdu(rejection) == (
        b"\x03"  # PDU type
        b"\x00"  # reserved
        b"\x00\x00\x00\x04"  # PDU length
        b"\x00"  # reserved
        + result  # 1 permanent, 2 transient
        + source  # 1 service user, 2 ACSE, 3 presentation
        + reason
    )


def test_rules_come_from_texts() -> None:
    """A configuration's texts become rules, or a failure that names what is wrong."""
    rules = admission_rules(
        calling_ae_titles=["VIEWER"],
        peers=BOUND,
        called_ae_titles=["ARCHIVE"],
        require_called_ae_title=True,
        max_associations_per_peer=3,
    ).unwrap()
    assert rules.admit(calling("CT1"), HOST) is None
    assert rules.max_associations_per_peer == 3


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (admission_rules(peers=["CT1"]), "write TITLE@NETWORK"),
        (admission_rules(calling_ae_titles=[""]), "is empty"),
        (admission_rules(calling_ae_titles="CT1"), "as a list"),
        (admission_rules(peers="CT1@10.0.0.1"), "as a list"),
        (admission_rules(max_associations_per_peer=0), "would let nobody in"),
        (admission_rules(require_called_ae_title=True), "needs called_ae_titles"),
    ],
)
def test_rules_that_cannot_be_are_refused(rules: object, words: str) -> None:
    """Each failure is about the configuration."""
    match rules:
        case Failure(error):
            assert error.code is ErrorCode.INVALID_CONFIGURATION
            assert words in error.message
        case _:
            pytest.fail("the rules were made")


# -- numbers -----------------------------------------------------------------------------------


def test_an_address_has_a_limit_whatever_it_calls_itself() -> None:
    """The rejection is transient: it may succeed when another association has ended."""
    rules = AdmissionRules(max_associations_per_peer=2)
    counter = PeerCounter(rules.max_associations_per_peer)
    assert rules.admit(calling("A"), HOST, counter) is None
    assert rules.admit(calling("B"), f"::ffff:{HOST}", counter) is None
    assert rules.admit(calling("C"), HOST, counter) == over_peer_limit()
    assert rules.admit(calling("C"), "10.9.9.9", counter) is None
    counter.leave(HOST, "A")
    assert rules.admit(calling("D"), HOST, counter) is None


def test_a_title_has_a_limit_from_wherever_it_calls() -> None:
    """Two machines with one AE title share its number."""
    counter = PeerCounter(1)
    assert counter.enter("10.0.0.1", "CT1") is None
    assert counter.enter("10.0.0.2", " CT1 ") == (
        "AE title CT1 has as many associations as it may, 1"
    )
    assert counter.enter("10.0.0.1", "CT2") == (
        "address 10.0.0.1 has as many associations as it may, 1"
    )
    assert len(counter) == 2


def test_whoever_is_not_admitted_is_not_counted() -> None:
    """A stranger cannot use up the number of the address it shares."""
    rules = AdmissionRules(["CT1"], max_associations_per_peer=1)
    counter = PeerCounter(1)
    assert rules.admit(calling("STRANGER"), HOST, counter) == CALLING
    assert len(counter) == 0
    assert rules.admit(calling("CT1"), HOST, counter) is None


def test_nobody_is_remembered_who_has_gone() -> None:
    """Peers that come and go, or are turned away, leave nothing behind."""
    counter = PeerCounter(2)
    for number in range(1000):
        host = f"10.0.{number // 256}.{number % 256}"
        assert counter.enter(host, f"CT{number}") is None
        assert counter.enter(host, f"CT{number}") is None
        assert counter.enter(host, f"CT{number}") is not None
        counter.leave(host, f"CT{number}")
        counter.leave(host, f"CT{number}")
    assert len(counter) == 0


def test_without_a_limit_nothing_is_counted() -> None:
    """Counting would cost each association time and serve nobody."""
    counter = PeerCounter()
    assert [counter.enter(HOST, "CT1") for _ in range(100)] == [None] * 100
    assert len(counter) == 0
    counter.leave(HOST, "CT1")


def test_leaving_without_having_entered_is_a_mistake() -> None:
    """It would let one association too many in, so it is refused and changes nothing."""
    counter = PeerCounter(1)
    assert counter.enter(HOST, "CT1") is None
    for host, title in (("10.9.9.9", "CT1"), (HOST, "CT2")):
        with pytest.raises(PacsException) as raised:
            counter.leave(host, title)
        assert raised.value.error.code is ErrorCode.PROTOCOL_MISUSE
    counter.leave(HOST, "CT1")
    assert len(counter) == 0


def test_threads_never_exceed_a_limit() -> None:
    """Asking and counting is one step: many at once get exactly the places there are."""
    counter = PeerCounter(5)
    start = threading.Barrier(16)
    admitted: list[int] = []

    def call(number: int) -> None:
        start.wait(10)
        if counter.enter(HOST, f"CT{number}") is None:
            admitted.append(number)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(admitted) == 5
    assert len(counter) == 1 + 5


# -- the program's hook ------------------------------------------------------------------------


def test_the_hook_decides_about_those_whom_the_rules_admit() -> None:
    """It sees the request and the peer; its rejection is sent as it is."""
    seen = []

    def nobody(request: AAssociateRQ, peer: AssociationInfo) -> Refused:
        seen.append((request.calling_ae_title, peer.peer_port))
        return Refused("not on Sundays", CALLED)

    counter = PeerCounter(1)
    admission = Admission(AdmissionRules(["CT1"]), nobody, counter)
    assert admission.enter(calling("CT1"), peer()) == Refused("not on Sundays", CALLED)
    refused = admission.enter(calling("MR1"), peer())
    assert isinstance(refused, Refused)
    assert refused.answer == CALLING
    assert seen == [("CT1", 40000)]
    assert len(counter) == 0


def test_an_admitted_peer_is_counted_until_it_leaves() -> None:
    """Rules, numbers and hook together."""
    counter = PeerCounter(1)
    admission = Admission(hook=lambda _request, _peer: Admitted(), counter=counter)
    assert admission.enter(calling("CT1"), peer()) == Admitted()
    refused = admission.enter(calling("CT2"), peer())
    assert isinstance(refused, Refused)
    assert refused.answer == over_peer_limit()
    assert f"address {HOST} has as many associations" in refused.reason
    admission.leave(calling("CT1"), peer())
    assert len(counter) == 0


def test_an_admission_counts_by_the_rules_own_limit() -> None:
    """Without a counter of its own it makes one."""
    admission = Admission(AdmissionRules(max_associations_per_peer=1))
    assert admission.enter(calling("CT1"), peer()) == Admitted()
    assert isinstance(admission.enter(calling("CT1"), peer()), Refused)
    assert Admission().enter(calling("ANYONE"), peer()) == Admitted()


def test_a_hook_that_fails_refuses_and_is_logged() -> None:
    """Whoever it could not judge stays out for now, and no place is lost."""

    def broken(request: AAssociateRQ, peer: AssociationInfo) -> Admitted:
        raise LookupError("no directory")

    logger, counter = RecordingLogger(), PeerCounter(1)
    admission = Admission(hook=broken, counter=counter)
    decision = admission.enter(calling("CT1"), peer(), logger)
    assert decision == Refused("the admission hook failed", FAULT)
    (entry,) = logger.named("admission-hook-failed")
    assert entry.level == "error"
    assert "no directory" in str(entry.fields["reason"])
    assert len(counter) == 0
    assert admission.enter(calling("CT1"), peer()) == decision  # no logger is needed


@pytest.mark.parametrize(
    "answer",
    [None, True, Refused("a reserved reason", AAssociateRJ(1, 1, 4))],
    ids=["nothing", "no-decision", "not-sendable"],
)
def test_a_hook_that_answers_nonsense_refuses(answer: object) -> None:
    """An untyped program may return anything; only a clear yes lets a peer in."""

    def untyped(request: AAssociateRQ, peer: AssociationInfo) -> Admitted:
        return answer  # type: ignore[return-value]  # that is what is tested

    logger, counter = RecordingLogger(), PeerCounter(1)
    decision = Admission(hook=untyped, counter=counter).enter(calling("CT1"), peer(), logger)
    assert isinstance(decision, Refused)
    assert decision.answer == FAULT
    assert logger.events == ("admission-hook-failed",)
    assert len(counter) == 0


def test_a_hook_that_would_end_the_program_refuses() -> None:
    """An exit in foreign code ends neither a thread nor an event loop of the server."""

    def leaving(request: AAssociateRQ, peer: AssociationInfo) -> Admitted:
        raise SystemExit

    logger, counter = RecordingLogger(), PeerCounter(1)
    decision = Admission(hook=leaving, counter=counter).enter(calling("CT1"), peer(), logger)
    assert decision == Refused("the admission hook failed", FAULT)
    assert logger.events == ("admission-hook-failed",)
    assert len(counter) == 0
