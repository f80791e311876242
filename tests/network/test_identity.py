"""User identity: who is verified, who is refused, what is answered, and what is never shown."""

from __future__ import annotations

import base64
import threading

import attrs
import pytest
from returns.result import Failure, Success

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import PacsResult
from pacs_sdk.network.admission import Refused
from pacs_sdk.network.identity import (
    IdentityPolicy,
    PasswordVerifier,
    UserIdentityVerifier,
    VerifiedIdentity,
    hash_passcode,
    identity_rejection,
    password_verifier,
    username_identity,
)
from pacs_sdk.network.negotiation import (
    AcceptorPolicy,
    ProposedContext,
    RequestorOptions,
    SupportedContext,
    association_request,
    negotiate,
)
from pacs_sdk.network.passcodes import ScryptCost, ScryptHash, parse_hash
from pacs_sdk.network.pdu import AAssociateAC, AAssociateRQ
from pacs_sdk.network.pdu_codec import encode_pdu
from pacs_sdk.network.user_information import UserIdentityAC, UserIdentityRQ, UserIdentityType
from pacs_sdk.testing import RecordingLogger

VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
HOST = "10.1.2.3"
SECRET = "open sesame"
CHEAP = ScryptCost(n=2, r=1, p=1)
"""Enough for a test; a real hash must cost more."""

KERBEROS = UserIdentityType.KERBEROS_SERVICE_TICKET
NAME_AND_PASSCODE = UserIdentityType.USERNAME_AND_PASSCODE

VERIFIER = PasswordVerifier(
    {
        "ann": hash_passcode(SECRET, CHEAP).unwrap(),
        "Jürgen": hash_passcode("Schlüssel", CHEAP).unwrap(),
    },
    without_passcode=["gateway"],
)


def request(identity: UserIdentityRQ | None) -> AAssociateRQ:
    """Propose Verification for a user."""
    return association_request(
        "MODALITY",
        "ARCHIVE",
        [ProposedContext(VERIFICATION, (IMPLICIT,))],
        options=RequestorOptions(user_identity=identity),
    )


ANN = username_identity("ann", SECRET).unwrap()


class Fixed:
    """A verifier with one answer, or one exception."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def verify(self, identity: UserIdentityRQ, peer_host: str) -> PacsResult[VerifiedIdentity]:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer  # type: ignore[return-value]  # also what is no result


# -- user names and passcodes --------------------------------------------------------------------


@pytest.mark.parametrize(("name", "passcode"), [("ann", SECRET), ("Jürgen", "Schlüssel")])
def test_the_right_passcode_is_verified(name: str, passcode: str) -> None:
    """Names and passcodes are UTF-8 (PS3.7 Table D.3-14)."""
    identity = username_identity(name, passcode).unwrap()
    assert VERIFIER.verify(identity, HOST) == Success(VerifiedIdentity(name, NAME_AND_PASSCODE))


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        (username_identity("ann", "wrong").unwrap(), "the user name or the passcode is wrong"),
        (username_identity("bob", SECRET).unwrap(), "the user name or the passcode is wrong"),
        (username_identity("Ann", SECRET).unwrap(), "the user name or the passcode is wrong"),
        (
            UserIdentityRQ(NAME_AND_PASSCODE, b"ann"),
            "the user name or the passcode is wrong",
        ),
        (
            UserIdentityRQ(NAME_AND_PASSCODE, b"\xff\xfe", b"x"),
            "the user name or the passcode is wrong",
        ),
        (
            UserIdentityRQ(NAME_AND_PASSCODE, b"ann", b"x" * 1025),
            "the passcode is longer than 1024 bytes",
        ),
        (username_identity("ann").unwrap(), "the user name is unknown or needs a passcode"),
        (UserIdentityRQ(KERBEROS, b"ticket"), "KERBEROS_SERVICE_TICKET cannot be verified"),
        (UserIdentityRQ(UserIdentityType.SAML_ASSERTION, b"x"), "SAML_ASSERTION cannot be"),
        (UserIdentityRQ(UserIdentityType.JSON_WEB_TOKEN, b"x"), "JSON_WEB_TOKEN cannot be"),
        (UserIdentityRQ(9, b"x"), "type 9 cannot be verified"),
    ],
)
def test_any_other_identity_is_not_verified(identity: UserIdentityRQ, words: str) -> None:
    """Whether the name or the passcode is wrong is not told."""
    match VERIFIER.verify(identity, HOST):
        case Failure(PacsError(ErrorCode.NOT_AUTHORISED, message)):
            assert words in message
        case other:
            pytest.fail(f"got {other}")


def test_a_name_may_do_without_a_passcode_where_that_is_configured() -> None:
    """Padding behind the name is not a part of it."""
    identity = UserIdentityRQ(UserIdentityType.USERNAME, b"gateway \0")
    assert VERIFIER.verify(identity, HOST) == Success(
        VerifiedIdentity("gateway", UserIdentityType.USERNAME)
    )


def test_one_text_is_no_list_of_names_without_passcode() -> None:
    """Each of its letters would be a user who needs none."""
    failure = password_verifier({}, "anna").failure()
    assert failure.code is ErrorCode.INVALID_CONFIGURATION
    assert "as a list, not as one text: 'anna'" in failure.message


def test_an_unknown_name_takes_as_long_as_a_wrong_passcode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same work is done for both, with the cost that most users have."""
    costs: list[ScryptCost] = []

    def counted(self: ScryptCost, passcode: bytes, salt: bytes) -> bytes:
        costs.append(self)
        return b"\1" * 32

    verifier = PasswordVerifier(
        {
            "ann": hash_passcode(SECRET, CHEAP).unwrap(),
            "bob": hash_passcode(SECRET, CHEAP).unwrap(),
            "old": hash_passcode(SECRET, ScryptCost(4, 1, 1)).unwrap(),
        }
    )
    monkeypatch.setattr(ScryptCost, "apply", counted)
    for name in ("ann", "nobody"):
        verifier.verify(username_identity(name, "wrong").unwrap(), HOST)
    assert costs == [CHEAP, CHEAP]
    PasswordVerifier({}).verify(ANN, HOST)
    assert costs[2:] == [ScryptCost()]


def test_an_unknown_name_is_not_let_in_by_any_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a passcode that fits the stand-in opens nothing."""
    monkeypatch.setattr(ScryptCost, "apply", lambda *_: bytes(32))
    assert isinstance(VERIFIER.verify(username_identity("bob", "x").unwrap(), HOST), Failure)


def test_only_some_passcodes_are_tried_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crowd of requests waits, instead of taking all processors and memory."""
    full, inside = threading.Event(), threading.Semaphore(0)
    lock, now, most = threading.Lock(), [0], [0]

    def slow(self: ScryptCost, passcode: bytes, salt: bytes) -> bytes:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        inside.release()
        assert full.wait(10)
        with lock:
            now[0] -= 1
        return b""

    monkeypatch.setattr(ScryptCost, "apply", slow)
    threads = [threading.Thread(target=VERIFIER.verify, args=(ANN, HOST)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        assert inside.acquire(timeout=10)
    full.set()
    for thread in threads:
        thread.join(10)
    assert most == [4]


# -- hashes --------------------------------------------------------------------------------------


def test_a_hash_is_that_of_rfc_7914() -> None:
    """The third test vector of RFC 7914 12, its first 32 bytes, in our text form."""
    digest = bytes.fromhex("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2")
    text = "$".join(
        (
            "scrypt",
            "16384",  # n
            "8",  # r
            "1",  # p
            base64.b64encode(b"SodiumChloride").decode(),  # salt
            base64.b64encode(digest).decode(),
        )
    )
    known = parse_hash(text).unwrap()
    assert known.fits(b"pleaseletmein")
    assert not known.fits(b"pleaseletmeIn")
    assert known.text() == text


def test_two_hashes_of_one_passcode_differ() -> None:
    """Each has its own salt."""
    one, other = (hash_passcode(SECRET, CHEAP).unwrap() for _ in range(2))
    assert one != other
    assert all(parse_hash(text).unwrap().fits(SECRET.encode()) for text in (one, other))


def test_the_default_cost_is_what_is_advised() -> None:
    """n=2¹⁴, r=8, p=5 is one of the settings of OWASP's cheat sheet."""
    text = hash_passcode(SECRET).unwrap()
    assert text.startswith("scrypt$16384$8$5$")
    assert parse_hash(text).unwrap().fits(SECRET.encode())


_SALT, _DIGEST = base64.b64encode(bytes(16)).decode(), base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SECRET, "no hash of a passcode; make one with hash_passcode"),
        (f"bcrypt$2$1$1${_SALT}${_DIGEST}", "no hash of a passcode"),
        (f"scrypt$2$1$1${_SALT}", "no hash of a passcode"),
        (f"scrypt$x$1$1${_SALT}${_DIGEST}", "not a number"),
        (f"scrypt$-2$1$1${_SALT}${_DIGEST}", "not a number"),
        (f"scrypt${'9' * 5000}$1$1${_SALT}${_DIGEST}", "not a number"),
        (f"scrypt$3$1$1${_SALT}${_DIGEST}", "power of two"),
        (f"scrypt$1$1$1${_SALT}${_DIGEST}", "power of two"),
        (f"scrypt$2$0$1${_SALT}${_DIGEST}", "must be 1 or more"),
        (f"scrypt$2$1$0${_SALT}${_DIGEST}", "must be 1 or more"),
        (f"scrypt$262144$8$1${_SALT}${_DIGEST}", "costs too much"),  # 256 MiB
        (f"scrypt$16384$8$33${_SALT}${_DIGEST}", "costs too much"),  # as long as 528 MiB
        (f"scrypt$2$1$1$*${_DIGEST}", "not Base64"),
        (f"scrypt$2$1$1$é${_DIGEST}", "not Base64"),
        (f"scrypt$2$1$1$AAAA${_DIGEST}", "a salt of 8 to 64 bytes"),
        (f"scrypt$2$1$1${_SALT}$AAAA", "32 bytes of hash"),
    ],
)
def test_what_is_no_hash_is_refused(text: str, words: str) -> None:
    """The message says what is wrong, but not the text: it might be a passcode."""
    match parse_hash(text):
        case Failure(error):
            assert error.code is ErrorCode.INVALID_CONFIGURATION
            assert words in error.message
            assert text not in error.message
        case Success(_):
            pytest.fail("it was read")


def test_a_wrong_hash_is_found_when_the_verifier_is_made() -> None:
    """The failure names the user, and not the text."""
    match password_verifier({"ann": SECRET}):
        case Failure(error):
            assert error.code is ErrorCode.INVALID_CONFIGURATION
            assert error.message.startswith("user 'ann': this is no hash")
            assert SECRET not in error.message
        case Success(_):
            pytest.fail("it was made")
    assert isinstance(password_verifier({"": hash_passcode("x", CHEAP).unwrap()}), Failure)
    assert isinstance(password_verifier({}), Success)


@pytest.mark.parametrize("passcode", ["", "\ud800"])
def test_what_is_no_passcode_has_no_hash(passcode: str) -> None:
    """An empty one, or one that cannot be sent as UTF-8."""
    match hash_passcode(passcode):
        case Failure(error):
            assert error.code is ErrorCode.INVALID_ARGUMENT
        case Success(_):
            pytest.fail("it was hashed")


# -- the policy ----------------------------------------------------------------------------------


def test_a_verified_user_is_known_to_the_server() -> None:
    """What is returned goes into audit records and to whoever decides what a user may do."""
    user = IdentityPolicy(VERIFIER).check(request(ANN), HOST)
    assert user == VerifiedIdentity("ann", NAME_AND_PASSCODE)


@pytest.mark.parametrize(
    ("policy", "identity"),
    [
        (IdentityPolicy(), None),
        (IdentityPolicy(), ANN),  # PS3.7 D.3.3.7: who has no support ignores the item
        (IdentityPolicy(VERIFIER), None),
    ],
    ids=["nothing", "ignored", "not-required"],
)
def test_without_identity_or_verifier_nobody_is_known(
    policy: IdentityPolicy, identity: UserIdentityRQ | None
) -> None:
    """The association goes on, without a user."""
    assert policy.check(request(identity), HOST) is None


WRONG = username_identity("ann", "wrong").unwrap()
GOOD = VerifiedIdentity("ann", KERBEROS, b"ticket")


@pytest.mark.parametrize(
    ("verifier", "identity", "reason"),
    [
        (VERIFIER, None, "it names no user, and one is required"),
        (VERIFIER, WRONG, "the user name or the passcode is wrong"),
        (
            Fixed(Failure(PacsError(ErrorCode.NOT_AUTHORISED, "expired"))),
            ANN,
            "expired",
        ),
        (Fixed(None), ANN, "the verifier of user identities gave no result"),
        (Fixed(Success("ann")), ANN, "the verifier of user identities gave no result"),
        (
            Fixed(Success(attrs.evolve(GOOD, server_response=bytes(65536)))),
            ANN,
            "the verifier's response is longer than an answer can be",
        ),
        (Fixed(RuntimeError(SECRET)), ANN, "the verifier of user identities failed"),
        (Fixed(SystemExit(SECRET)), ANN, "the verifier of user identities failed"),
        (Fixed(Failure(SECRET)), ANN, "the verifier of user identities gave no result"),
    ],
)
def test_whoever_is_not_verified_is_rejected(
    verifier: UserIdentityVerifier, identity: UserIdentityRQ | None, reason: str
) -> None:
    """Always in the same way, whatever the reason."""
    policy = IdentityPolicy(verifier, identity_required=True)
    assert policy.check(request(identity), HOST) == Refused(reason, identity_rejection())


def test_the_rejection_is_that_of_the_standard() -> None:
    """PS3.7 D.3.3.7.3: permanent, from the ACSE related function of the service provider."""
    assert encode_pdu(identity_rejection()) == (
        b"\x03"  # PDU type: A-ASSOCIATE-RJ
        b"\x00"  # reserved
        b"\x00\x00\x00\x04"  # PDU length
        b"\x00"  # reserved
        b"\x01"  # result: rejected-permanent
        b"\x02"  # source: service provider, ACSE related function
        b"\x01"  # reason: no-reason-given
    )


def test_a_policy_that_lets_nobody_in_is_refused() -> None:
    """Who requires an identity must be able to verify it."""
    with pytest.raises(PacsException, match="needs a verifier") as raised:
        IdentityPolicy(identity_required=True)
    assert raised.value.error.code is ErrorCode.INVALID_CONFIGURATION


def test_a_verifier_that_fails_is_logged_without_its_message() -> None:
    """Its words might quote what it was given; its type is enough to look for it."""
    logger = RecordingLogger()
    policy = IdentityPolicy(Fixed(RuntimeError(f"cannot bind ann:{SECRET}")))
    assert isinstance(policy.check(request(ANN), HOST, logger), Refused)
    (entry,) = logger.named("identity-verifier-failed", kind="RuntimeError")
    assert SECRET not in repr(entry)


# -- the answer ----------------------------------------------------------------------------------

POLICY = AcceptorPolicy("ARCHIVE", [SupportedContext(VERIFICATION, [IMPLICIT])])


@pytest.mark.parametrize(
    ("identity", "user", "expected"),
    [
        (ANN, VerifiedIdentity("ann", NAME_AND_PASSCODE), UserIdentityAC()),
        (ANN, VerifiedIdentity("ann", NAME_AND_PASSCODE, b"not sent"), UserIdentityAC()),
        (attrs.evolve(ANN, positive_response_requested=False), GOOD, None),
        (
            UserIdentityRQ(KERBEROS, b"t", positive_response_requested=True),
            GOOD,
            UserIdentityAC(b"ticket"),
        ),
        (None, GOOD, None),
    ],
)
def test_a_response_is_made_if_one_was_asked_for(
    identity: UserIdentityRQ | None, user: VerifiedIdentity, expected: UserIdentityAC | None
) -> None:
    """PS3.7 Table D.3-15: a ticket or token, and nothing for user names."""
    assert user.response_to(request(identity)) == expected


def test_a_confirmed_identity_on_the_wire() -> None:
    """Request and answer, field by field (PS3.7 Tables D.3-14 and D.3-15)."""
    asking = request(ANN)
    assert (
        b"\x58"  # item type: user identity, request
        b"\x00"  # reserved
        b"\x00\x14"  # item length
        b"\x02"  # user identity type: username and passcode
        b"\x01"  # positive response requested
        b"\x00\x03"  # primary field length
        b"ann"  # primary field
        b"\x00\x0b"  # secondary field length
        b"open sesame"  # secondary field
    ) in encode_pdu(asking)
    user = IdentityPolicy(VERIFIER).check(asking, HOST)
    assert isinstance(user, VerifiedIdentity)
    answer = negotiate(asking, POLICY, identity_response=user.response_to(asking))
    assert isinstance(answer, AAssociateAC)
    assert (
        b"\x59"  # item type: user identity, answer
        b"\x00"  # reserved
        b"\x00\x02"  # item length
        b"\x00\x00"  # server response length
    ) in encode_pdu(answer)


# -- the requestor -------------------------------------------------------------------------------


def test_an_identity_without_a_passcode_is_a_user_name() -> None:
    """The type follows from what is given."""
    identity = username_identity("ann", positive_response_requested=False).unwrap()
    assert identity == UserIdentityRQ(UserIdentityType.USERNAME, b"ann")


@pytest.mark.parametrize(
    ("name", "passcode"),
    [
        ("", None),
        ("ann", ""),
        ("x" * 65536, None),
        ("ann", "x" * 65536),
        ("ann", SECRET + "\ud800"),
    ],
)
def test_an_identity_that_cannot_be_sent_is_refused(name: str, passcode: str | None) -> None:
    """Empty, too long for the field, or without UTF-8; the message doesn't quote it."""
    match username_identity(name, passcode):
        case Failure(error):
            assert error.code is ErrorCode.INVALID_ARGUMENT
            assert "1 to 65535 bytes" in error.message
            assert SECRET not in error.message
        case Success(_):
            pytest.fail("it was made")


# -- secrets -------------------------------------------------------------------------------------


def test_nothing_shows_a_secret() -> None:
    """Representations of everything that holds an identity, a hash or a token."""
    asking = request(ANN)
    known = ScryptHash.of(SECRET.encode(), CHEAP)
    shown = " ".join(
        map(
            repr,
            (
                ANN,
                asking,
                RequestorOptions(user_identity=ANN),
                VERIFIER,
                IdentityPolicy(VERIFIER),
                VerifiedIdentity("ann", KERBEROS, SECRET.encode()),
                UserIdentityAC(SECRET.encode()),
                known,
            ),
        )
    )
    assert SECRET not in shown
    assert repr(known.digest) not in shown
    assert repr(known.salt) not in shown
    assert "<11 bytes>" in shown
