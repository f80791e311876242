"""Several services on one server: who performs what, what is counted, and what is logged."""

from __future__ import annotations

import threading
from collections.abc import Callable

import attrs
import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import NullLogger
from pacs_sdk.core.results import raised
from pacs_sdk.network import (
    DicomService,
    Exchange,
    ProposedContext,
    ServerConfig,
    SupportedContext,
    common_flags,
)
from pacs_sdk.network.dimse import CEchoRQ, CFindRSP, CStoreRQ, CStoreRSP, Status, UnsupportedRQ
from pacs_sdk.network.dispatch import REQUEST_SECONDS, REQUESTS, ServiceTable
from tests.network.helpers import (
    CT_IMAGE,
    EXPLICIT,
    IMPLICIT,
    STUDY_ROOT_FIND,
    VERIFICATION,
)
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

JPEG_2000 = "1.2.840.10008.1.2.4.90"
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"


@attrs.frozen(eq=False)
class Fixed:
    """A service with the contexts that a test wants; it answers with its own status."""

    contexts: list[SupportedContext]
    status: int = 0

    def supported_contexts(self) -> list[SupportedContext]:
        """List what the test wants."""
        return self.contexts

    def handle(self, exchange: Exchange) -> None:
        """Answer."""
        exchange.respond_status(self.status)


class Counts:
    """Keeps what is counted and measured."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, dict[str, str]]] = []
        self.observed: list[tuple[str, dict[str, str]]] = []
        self.changed = threading.Condition()

    def increment(self, name: str, value: float = 1.0, **labels: str) -> None:
        """Keep."""
        self.counted.append((name, labels))

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Do nothing."""

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Keep; no duration is negative."""
        assert value >= 0
        with self.changed:
            self.observed.append((name, labels))
            self.changed.notify_all()


# -- who performs what -----------------------------------------------------------------------


def test_a_later_service_takes_a_sop_class_from_an_earlier_one() -> None:
    """Its transfer syntaxes hold as well: what only the earlier one took is refused."""
    ours = Fixed([SupportedContext(uid, [EXPLICIT, JPEG_2000]) for uid in (CT_IMAGE, MR_IMAGE)])
    theirs = Fixed([SupportedContext(CT_IMAGE, [EXPLICIT])], status=0xB000)
    logger = RecordingLogger()
    contexts = [
        ProposedContext(CT_IMAGE, (EXPLICIT,)),
        ProposedContext(CT_IMAGE, (JPEG_2000,)),
        ProposedContext(MR_IMAGE, (JPEG_2000,)),
    ]
    with (
        serving(ours, theirs, logger=logger) as server,
        open_to(server, contexts) as association,
    ):
        agreed = [(one.abstract_syntax, one.transfer_syntax) for one in association.contexts]
        assert agreed == [(CT_IMAGE, EXPLICIT), (MR_IMAGE, JPEG_2000)]
        for uid, status in ((CT_IMAGE, 0xB000), (MR_IMAGE, 0)):
            context = raised(association.context_for(uid))
            request = CStoreRQ(association.next_message_id(), uid, "1.2")
            assert raised(association.call(context, request, MemoryBytes(b"x"))).status == status
        assert server.services[CT_IMAGE] is theirs
        assert server.services[MR_IMAGE] is ours
    (replaced,) = logger.named("service-replaced")
    assert replaced == {"earlier": "Fixed", "later": "Fixed", "sop_classes": 1}


SCU_ONLY = SupportedContext(CT_IMAGE, [EXPLICIT, JPEG_2000], as_scp=False, as_scu=True)
SCP_ONLY = SupportedContext(CT_IMAGE, [EXPLICIT, IMPLICIT])


@pytest.mark.parametrize(
    ("as_scu", "as_scp", "syntax", "accepted"),
    [
        (True, False, IMPLICIT, True),
        (True, False, JPEG_2000, False),
        (False, True, JPEG_2000, True),
        (False, True, IMPLICIT, False),
        (True, True, EXPLICIT, True),
        (True, True, IMPLICIT, False),
        (True, True, JPEG_2000, False),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_each_role_has_the_transfer_syntaxes_of_its_service(
    as_scu: bool, as_scp: bool, syntax: str, accepted: bool, turned: bool
) -> None:
    """One service receives, another sends: an encoding that only one of them takes is its own."""
    services = [Fixed([SCP_ONLY]), Fixed([SCU_ONLY])]
    contexts = [ProposedContext(CT_IMAGE, (syntax,), as_scu=as_scu, as_scp=as_scp)]
    with (
        serving(*(reversed(services) if turned else services)) as server,
        open_to(server, contexts) as association,
    ):
        assert bool(association.contexts) is accepted


def test_what_several_services_support_is_one_list() -> None:
    """Each SOP class once, with every role; extended negotiation of either side is kept."""
    answer = common_flags(b"\1")
    table = ServiceTable(
        [
            Fixed([SCU_ONLY, SupportedContext(MR_IMAGE, [EXPLICIT], False, True)]),
            Fixed([SCP_ONLY]),
            Fixed([SupportedContext(MR_IMAGE, [IMPLICIT], False, True, extended=answer)]),
            Fixed([SupportedContext(STUDY_ROOT_FIND, [IMPLICIT], extended=answer)]),
        ]
    )
    found = {one.abstract_syntax: one for one in table.contexts}
    assert set(found) == {CT_IMAGE, MR_IMAGE, STUDY_ROOT_FIND}
    assert (found[CT_IMAGE].as_scp, found[CT_IMAGE].as_scu) == (True, True)
    assert found[CT_IMAGE].transfer_syntaxes == {EXPLICIT, IMPLICIT}
    assert found[CT_IMAGE].transfer_syntaxes_as_scu == frozenset((EXPLICIT, JPEG_2000))
    assert (found[MR_IMAGE].as_scp, found[MR_IMAGE].as_scu) == (False, True)
    assert found[MR_IMAGE].syntaxes_in(as_scp=False, as_scu=True) == {EXPLICIT, IMPLICIT}
    assert found[STUDY_ROOT_FIND].extended is answer
    assert table.performing(MR_IMAGE) is None


@pytest.mark.parametrize("wrong", [object(), Fixed, None])
def test_what_is_no_service_is_refused_at_once(wrong: DicomService) -> None:
    """A class instead of an object, or something else, is a mistake of the program."""
    with pytest.raises(PacsException) as caught:
        server_of_driver()(ServerConfig(), [wrong])
    assert caught.value.error.code is ErrorCode.INVALID_CONFIGURATION
    assert "it needs the methods supported_contexts and handle" in caught.value.error.message


# -- answers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [CStoreRSP(8, 0), CFindRSP(7, 0)])
def test_a_response_to_something_else_is_not_sent(wrong: CStoreRSP | CFindRSP) -> None:
    """Another Message ID or operation would confuse the peer; it gets a failure instead."""
    logger = RecordingLogger()
    with (
        serving(
            Scripted(lambda exchange: exchange.respond(wrong)), EchoService(), logger=logger
        ) as server,
        open_to(server) as association,
    ):
        context = raised(association.context_for(CT_IMAGE))
        response = raised(
            association.call(context, CStoreRQ(7, CT_IMAGE, "1.2"), MemoryBytes(b"x"))
        )
        assert isinstance(response, CStoreRSP)
        assert response.status == ErrorCode.PROTOCOL_MISUSE.dimse_status
        assert_alive(association)
    (fields,) = logger.named("request-failed")
    assert "does not answer CStoreRQ 7" in str(fields["reason"])


def _exit(exchange: Exchange) -> None:
    raise SystemExit(1)


def _interrupt(exchange: Exchange) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("act", [_exit, _interrupt])
def test_a_handler_cannot_end_the_program(act: Callable[[Exchange], None]) -> None:
    """``sys.exit()`` in a handler is a failure of its request, like any other."""
    with (
        serving(Scripted(act), EchoService()) as server,
        open_to(server) as association,
    ):
        context = raised(association.context_for(CT_IMAGE))
        response = raised(
            association.call(context, CStoreRQ(1, CT_IMAGE, "1.2"), MemoryBytes(b"x"))
        )
        assert response.status == Status.PROCESSING_FAILURE
        assert_alive(association)


# -- what is counted and logged --------------------------------------------------------------


def _mixed(exchange: Exchange) -> None:
    exchange.metrics.increment("mine", of="the handler")
    exchange.respond_status(0xA700)


def test_requests_are_counted_and_timed_by_operation_sop_class_and_status() -> None:
    """Also those that nobody performs; a SOP class that PS3.6 has not is not named."""
    counts = Counts()
    private = "1.2.3.4"
    server = server_of_driver()(
        ServerConfig(port=0),
        [EchoService(), Scripted(_mixed), Fixed([SupportedContext(private, [EXPLICIT])])],
        metrics=counts,
    )
    contexts = [*CONTEXTS[:2], ProposedContext(private, (EXPLICIT,))]
    with server, open_to(server, contexts) as association:
        assert_alive(association)
        ct = raised(association.context_for(CT_IMAGE))
        raised(association.call(ct, CStoreRQ(1, CT_IMAGE, "1.2"), MemoryBytes(b"x")))
        verification = raised(association.context_for(VERIFICATION))
        raised(association.call(verification, UnsupportedRQ(0x0060, 5, VERIFICATION)))
        raised(association.call(raised(association.context_for(private)), CEchoRQ(9, private)))
        with counts.changed:
            counts.changed.wait_for(lambda: len(counts.observed) == 4, 10)
    wanted = [
        {"operation": "C-ECHO", "sop_class": "Verification", "status": "0000"},
        {"operation": "C-STORE", "sop_class": "CTImageStorage", "status": "A700"},
        {"operation": "0060H", "sop_class": "Verification", "status": "0211"},
        {"operation": "C-ECHO", "sop_class": "other", "status": "0000"},
    ]
    assert [labels for name, labels in counts.counted if name == REQUESTS] == wanted
    assert counts.observed == [(REQUEST_SECONDS, labels) for labels in wanted]
    assert ("mine", {"of": "the handler"}) in counts.counted


def test_log_entries_say_which_association_and_which_message() -> None:
    """Each association has a number, each request its operation, Message ID and SOP class."""
    logger = RecordingLogger()

    def act(exchange: Exchange) -> None:
        exchange.logger.info("noted")
        exchange.respond_status(0)

    with serving(Scripted(act), logger=logger) as server:
        for number in (11, 12):
            with open_to(server) as association:
                context = raised(association.context_for(CT_IMAGE))
                raised(
                    association.call(context, CStoreRQ(number, CT_IMAGE, "1.2"), MemoryBytes(b"x"))
                )
    first, second = logger.named("noted")
    assert (first["association"], second["association"]) == (1, 2)
    assert (first["message_id"], second["message_id"]) == (11, 12)
    assert first["operation"] == "C-STORE"
    assert first["sop_class_uid"] == CT_IMAGE
    assert first["calling_ae_title"] == "TESTER"
    accepted = logger.named("association-accepted")
    assert [fields["association"] for fields in accepted] == [1, 2]


def test_nothing_is_bound_for_a_logger_that_nobody_asks_for() -> None:
    """A request that logs nothing costs no copy of the logger."""

    class Counting(NullLogger):
        bound = 0

        def bind(self, **fields: object) -> Counting:
            Counting.bound += "message_id" in fields
            return self

    server = server_of_driver()(ServerConfig(port=0), [EchoService()], logger=Counting())
    with server, open_to(server) as association:
        for _ in range(3):
            assert_alive(association)
    assert Counting.bound == 0


# -- handlers that do not end ----------------------------------------------------------------


def test_a_stop_does_not_wait_forever_for_a_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that ignores that it is cancelled is left alone, and named in the log."""
    for module in ("threaded.server", "asyncio.loop_server"):
        monkeypatch.setattr(f"pacs_sdk.network.{module}.LAST_WAIT_S", 0.05)
    begun, let_go, ended = threading.Event(), threading.Event(), threading.Event()

    def act(exchange: Exchange) -> None:
        begun.set()
        let_go.wait(30)
        ended.set()

    logger = RecordingLogger()
    server = server_of_driver()(ServerConfig(port=0), [Scripted(act), EchoService()], logger=logger)
    raised(server.start())
    association = open_to(server)
    context = raised(association.context_for(CT_IMAGE))
    asking = threading.Thread(
        target=association.call,
        args=(context, CStoreRQ(1, CT_IMAGE, "1.2"), MemoryBytes(b"x")),
        daemon=True,
    )
    asking.start()
    assert begun.wait(10)
    try:
        server.stop(0.05)
        assert not server.is_running
        assert logger.named("handler-does-not-end")
        with server, open_to(server) as again:
            assert_alive(again)
    finally:
        let_go.set()
        assert ended.wait(10)
        asking.join(10)
        association.abort()
    logger.wait_for("handler-gave-no-answer")
