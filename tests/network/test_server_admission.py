"""Who may associate, over both drivers: rules, numbers, users, and the program's own say."""

from __future__ import annotations

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import AuditEvent
from pacs_sdk.core.results import PacsResult, Success, raised
from pacs_sdk.network import (
    AccessControl,
    Admitted,
    AssociationInfo,
    Exchange,
    PasswordVerifier,
    Peer,
    Refused,
    RequestorOptions,
    ServerConfig,
    connect,
    hash_passcode,
    username_identity,
)
from pacs_sdk.network.dimse import Status
from pacs_sdk.network.identity import VerifiedIdentity, identity_rejection
from pacs_sdk.network.passcodes import ScryptCost
from pacs_sdk.network.pdu import AAssociateRQ
from pacs_sdk.network.user_information import UserIdentityRQ, UserIdentityType
from tests.network.helpers import CT_IMAGE, EXPLICIT, VERIFICATION
from tests.network.servers import (
    CONTEXTS,
    EchoService,
    RecordingLogger,
    Scripted,
    assert_alive,
    open_to,
    server_of_driver,
    serving,
)

pytestmark = pytest.mark.usefixtures("driver")

CHEAP = ScryptCost(n=2, r=1, p=1)


@pytest.mark.parametrize(
    "config",
    [
        ServerConfig(calling_ae_titles=["TEST*"]),
        ServerConfig(peers=["TESTER@127.0.0.0/8"]),
        ServerConfig(peers=["CT*@10.0.0.0/8"], calling_ae_titles=["*"]),
        ServerConfig(require_called_ae_title=True, called_ae_titles=["PACS_???"]),
    ],
)
def test_who_fits_the_rules_may_associate(config: ServerConfig) -> None:
    """Wildcards, networks, and aliases of our own AE title."""
    with serving(EchoService(), config=config) as server, open_to(server) as association:
        assert_alive(association)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (ServerConfig(calling_ae_titles=["REST*"]), "'TESTER' is not registered"),
        (ServerConfig(peers=["TESTER@10.0.0.0/8"]), "'TESTER' may not call from 127.0.0.1"),
        (
            ServerConfig(require_called_ae_title=True, called_ae_titles=["OTHER"], ae_title="ONE"),
            "it called 'TWO'",
        ),
    ],
)
def test_who_does_not_is_refused_and_logged(config: ServerConfig, words: str) -> None:
    """The log says which rule it was; the peer learns what the standard has a code for."""
    logger = RecordingLogger()
    with serving(EchoService(), config=config, logger=logger) as server:
        failure = connect(Peer("127.0.0.1", server.port, "TWO"), "TESTER", CONTEXTS).failure()
    assert failure.code is ErrorCode.ASSOCIATION_REJECTED
    assert words in str(logger.named("association-rejected")[0]["reason"])


def test_one_peer_does_not_get_all_the_places() -> None:
    """Until one of its associations ends."""
    config = ServerConfig(max_associations_per_peer=2)
    with serving(EchoService(), config=config) as server:
        first = open_to(server)
        with open_to(server):
            peer = Peer("127.0.0.1", server.port)
            failure = connect(peer, "TESTER", CONTEXTS).failure()
            assert "a limit of its own is exceeded" in failure.message
            first.abort()
        # Both are counted until the server has seen them end.
        third = connect(peer, "TESTER", CONTEXTS)
        while third.map(lambda _: False).value_or(True):
            third = connect(peer, "TESTER", CONTEXTS)
        raised(third).release()


def test_the_program_decides_about_those_whom_the_rules_admit() -> None:
    """The hook sees the request and the peer, and gives the reason for the log."""
    logger, asked = RecordingLogger(), []

    def hook(request: AAssociateRQ, peer: AssociationInfo) -> Admitted | Refused:
        asked.append((request.calling_ae_title, peer.peer_host))
        return Refused("not on a Sunday", identity_rejection()) if len(asked) > 1 else Admitted()

    server = server_of_driver()(
        ServerConfig(port=0),
        [EchoService()],
        logger=logger,
        access=AccessControl(admission_hook=hook),
    )
    with server:
        open_to(server).release()
        failure = connect(Peer("127.0.0.1", server.port), "TESTER", CONTEXTS).failure()
    assert failure.code is ErrorCode.ASSOCIATION_REJECTED
    assert asked == 2 * [("TESTER", "127.0.0.1")]
    assert logger.named("association-rejected")[0]["reason"] == "not on a Sunday"


@pytest.mark.parametrize("reason", ["not on a Sunday", ""])
def test_a_refusal_is_audited_as_one_with_its_reason(reason: str) -> None:
    """Whatever the program gives as the reason, even nothing."""
    recorded: list[AuditEvent] = []

    class Audit:
        def record(self, event: AuditEvent) -> None:
            recorded.append(event)

    server = server_of_driver()(
        ServerConfig(port=0),
        [EchoService()],
        audit=Audit(),
        access=AccessControl(admission_hook=lambda *_: Refused(reason, identity_rejection())),
    )
    with server:
        connect(Peer("127.0.0.1", server.port, "ARCHIVE"), "TESTER", CONTEXTS).failure()
    facts = {"called_ae_title": "ARCHIVE", "reason": reason}
    assert recorded == [
        AuditEvent("association-rejected", False, "TESTER", "127.0.0.1", facts=facts)
    ]


@pytest.mark.parametrize("passcode", ["secret", "wrong", None])
def test_a_user_is_verified_and_known_to_the_handler(passcode: str | None) -> None:
    """With the right passcode; otherwise, or with none, the association is rejected."""
    users = []

    def note(exchange: Exchange) -> None:
        users.append(exchange.association.user_name)
        exchange.respond_status(Status.SUCCESS)

    logger = RecordingLogger()
    verifier = PasswordVerifier({"anna": raised(hash_passcode("secret", CHEAP))})
    server = server_of_driver()(
        ServerConfig(port=0, identity_required=True),
        [Scripted(note, VERIFICATION)],
        logger=logger,
        access=AccessControl(identity_verifier=verifier),
    )
    identity = None if passcode is None else raised(username_identity("anna", passcode))
    with server:
        peer = Peer("127.0.0.1", server.port)
        options = RequestorOptions(user_identity=identity)
        result = connect(peer, "TESTER", CONTEXTS, options=options)
        if passcode == "secret":
            with raised(result) as association:
                assert_alive(association)
                assert association.identity_response == b""
        else:
            assert result.failure().code is ErrorCode.ASSOCIATION_REJECTED
    assert users == (["anna"] if passcode == "secret" else [])
    assert "secret" not in str(logger.entries)


@pytest.mark.parametrize("kind", list(UserIdentityType)[2:], ids=lambda kind: kind.name)
@pytest.mark.parametrize("is_asked", [True, False])
def test_what_a_verifier_answers_reaches_the_client(kind: UserIdentityType, is_asked: bool) -> None:
    """The server's ticket, SAML response or token, if the client asked for one."""

    class Verifier:
        def verify(self, identity: UserIdentityRQ, _: str) -> PacsResult[VerifiedIdentity]:
            assert identity.primary_field == b"ticket"
            return Success(VerifiedIdentity("anna", kind, b"answer"))

    server = server_of_driver()(
        ServerConfig(port=0),
        [EchoService()],
        access=AccessControl(identity_verifier=Verifier()),
    )
    identity = UserIdentityRQ(kind, b"ticket", positive_response_requested=is_asked)
    options = RequestorOptions(user_identity=identity)
    with server, open_to(server, options=options) as association:
        assert association.identity_response == (b"answer" if is_asked else None)


def test_an_answer_to_a_user_that_cannot_be_written_is_a_recorded_refusal() -> None:
    """A response that fits its field, but not the item around it, is not sent."""
    recorded: list[AuditEvent] = []
    responses = [bytes(65_500), b"short"]

    class Verifier:
        def verify(self, identity: UserIdentityRQ, peer_host: str) -> PacsResult[VerifiedIdentity]:
            return Success(
                VerifiedIdentity("anna", UserIdentityType.JSON_WEB_TOKEN, responses.pop(0))
            )

    class Audit:
        def record(self, event: AuditEvent) -> None:
            recorded.append(event)

    logger = RecordingLogger()
    server = server_of_driver()(
        ServerConfig(port=0, max_associations=1),
        [EchoService()],
        logger=logger,
        audit=Audit(),
        access=AccessControl(identity_verifier=Verifier()),
    )
    identity = UserIdentityRQ(
        UserIdentityType.JSON_WEB_TOKEN, b"token", positive_response_requested=True
    )
    options = RequestorOptions(user_identity=identity)
    with server:
        peer = Peer("127.0.0.1", server.port)
        failure = connect(peer, "TESTER", CONTEXTS, options=options).failure()
        assert failure.code is ErrorCode.ASSOCIATION_REJECTED
        raised(connect(peer, "TESTER", CONTEXTS, options=options)).release()
    assert "cannot be written" in str(logger.named("association-rejected")[0]["reason"])
    assert [event.action for event in recorded] == ["association-rejected", "association-accepted"]
    assert recorded[0].facts["user"] == "anna"


def test_what_is_refused_of_an_association_is_put_into_words() -> None:
    """Once for each presentation context, with names."""
    logger = RecordingLogger()
    with serving(EchoService(), logger=logger) as server:
        open_to(server).release()
    reasons = [str(fields["reason"]) for fields in logger.named("context-refused")]
    assert any("CT Image Storage" in reason and "context 3" in reason for reason in reasons)
    assert EXPLICIT not in str(reasons)
    assert CT_IMAGE not in str(reasons)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (ServerConfig(peers=["CT@nowhere/99"]), "nowhere/99"),
        (ServerConfig(max_associations_per_peer=0), "would let nobody in"),
        (ServerConfig(identity_required=True), "identity_required needs a verifier"),
    ],
)
def test_rules_that_are_none_are_found_before_the_start(config: ServerConfig, words: str) -> None:
    """Nobody should learn of a typing error from a peer."""
    with pytest.raises(PacsException, match=words) as caught:
        server_of_driver()(config, [EchoService()])
    assert caught.value.error.code is ErrorCode.INVALID_CONFIGURATION


@pytest.mark.parametrize("name", ["calling_ae_titles", "called_ae_titles", "peers"])
def test_one_text_is_no_list_of_titles(name: str) -> None:
    """Its letters would be: a ``*`` among them would let everybody in."""
    with pytest.raises(PacsException, match="as a list, not as one text: 'CT\\*'") as caught:
        ServerConfig(**{name: "CT*"})  # type: ignore[arg-type]  # the point of the test
    assert caught.value.error.code is ErrorCode.INVALID_CONFIGURATION


@pytest.mark.parametrize("count", [0, -1])
def test_a_server_without_workers_is_none(count: int) -> None:
    """It would take connections and never answer."""
    with pytest.raises(PacsException, match=f"worker_threads is {count}") as caught:
        ServerConfig(worker_threads=count)
    assert caught.value.error.code is ErrorCode.INVALID_CONFIGURATION


def test_a_verifier_that_would_end_the_program_ends_nothing() -> None:
    """The peer is answered at once, and the server goes on."""

    class Leaving:
        def verify(self, identity: UserIdentityRQ, peer_host: str) -> PacsResult[VerifiedIdentity]:
            raise SystemExit

    access = AccessControl(identity_verifier=Leaving())
    options = RequestorOptions(user_identity=raised(username_identity("ann")))
    with server_of_driver()(ServerConfig(port=0), [EchoService()], access=access) as server:
        peer = Peer("127.0.0.1", server.port, server.ae_title)
        error = connect(peer, "TESTER", CONTEXTS, options=options).failure()
        assert error.code is ErrorCode.ASSOCIATION_REJECTED
        with open_to(server) as association:
            assert_alive(association)
