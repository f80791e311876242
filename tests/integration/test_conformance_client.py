"""The client in the conformance statement: what it claims is proposed, and nothing else is."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import attrs
import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.results import PacsResult
from pacs_sdk.core.uids import new_uid
from pacs_sdk.encoding import Instance, all_transfer_syntaxes
from pacs_sdk.encoding.transfer_syntax import known_transfer_syntax
from pacs_sdk.integration.conformance import ConformanceStatement, conformance_statement
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.integration.phantom import PhantomSpec, make_phantom
from pacs_sdk.network import (
    DicomServer,
    Exchange,
    Peer,
    ProposedContext,
    ServerConfig,
    SupportedContext,
    connect,
)
from pacs_sdk.network.pdu import AAssociateRJ, AAssociateRQ, RejectResult, RejectSource
from pacs_sdk.services import (
    FindNegotiation,
    InformationModel,
    InMemory,
    QueryScu,
    ReceiveHere,
    RetrieveScu,
    StorageScu,
    StoreReport,
    VerificationScu,
    all_sop_classes,
    storage_sop_classes,
)
from pacs_sdk.services.reencode import TranscodePolicy
from pacs_sdk.services.sop_classes import (
    COMPOSITE_INSTANCE_ROOT_GET,
    COMPOSITE_INSTANCE_WITHOUT_BULK_DATA_GET,
)
from tests.integration.test_conformance import (
    CT_IMAGE,
    EXPLICIT,
    JPEG_2000,
    PRIVATE,
    SYNTAXES,
    VERIFICATION,
    accepted,
    section_of,
    tables_in,
)
from tests.network.helpers import RawPeer

AS_STORED = "the transfer syntax in which it is stored"


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pacs]:
    """Make a PACS that does not run."""
    made = Pacs.embedded(tmp_path_factory.mktemp("client"), ae_title="WARD")
    yield made
    made.archive.close()


@pytest.fixture(scope="module")
def statement(pacs: Pacs) -> ConformanceStatement:
    """Write its statement."""
    return conformance_statement(pacs).unwrap()


@pytest.fixture(scope="module")
def text(statement: ConformanceStatement) -> str:
    """Give its text."""
    return statement.markdown()


# -- a peer that notes what is proposed, and rejects it ------------------------------------------


@attrs.define
class Recorder:
    """Where to call, and who has called."""

    peer: Peer
    requests: list[AAssociateRQ] = attrs.field(factory=list)

    def last(self) -> AAssociateRQ:
        """Return the last request; those before are forgotten."""
        last, self.requests = self.requests[-1], []
        return last


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """Run a peer that rejects every association."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = Recorder(Peer("127.0.0.1", listener.getsockname()[1], "RECORDER"))
        thread = threading.Thread(target=_record, args=(listener, found))
        thread.start()
        yield found
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    assert not thread.is_alive()


def _record(listener: socket.socket, found: Recorder) -> None:
    while True:
        try:
            connected, _ = listener.accept()
        except OSError:  # the test is over
            return
        with connected:
            raw = RawPeer(connected)
            request = raw.receive()
            assert isinstance(request, AAssociateRQ)
            found.requests.append(request)
            raw.send(AAssociateRJ(RejectResult.REJECTED_PERMANENT, RejectSource.SERVICE_USER, 1))


Context = tuple[str, tuple[str, ...], str]
"""SOP class, transfer syntaxes by name, and role."""


def contexts_of(request: AAssociateRQ) -> list[Context]:
    """Read what was proposed as the document would have it."""
    roles = {one.sop_class_uid: one for one in request.user_information.role_selections}
    found = []
    for one in request.presentation_contexts:
        role = roles.get(one.abstract_syntax)
        name = "SCU" if role is None else "/".join(_names(role.scu, role.scp))
        found.append((one.abstract_syntax, tuple(map(named, one.transfer_syntaxes)), name))
    return found


def _names(scu: bool, scp: bool) -> Iterator[str]:
    if scu:
        yield "SCU"
    if scp:
        yield "SCP"


def named(uid: str) -> str:
    """Name a transfer syntax."""
    return known_transfer_syntax(uid).name


NAMES = sorted((one.name for one in all_transfer_syntaxes()), key=len, reverse=True)
SYNTAX = re.compile("|".join(map(re.escape, [*NAMES, AS_STORED])))
"""Finds transfer syntaxes in a list of names that have commas themselves."""


# -- verification, query and retrieval -----------------------------------------------------------

EVERYTHING = FindNegotiation(*(True for _ in attrs.fields(FindNegotiation)))


def study_or_series(model: InformationModel) -> DicomDataset:
    """Ask for something of a model without the keys above it: that is relational."""
    if model is InformationModel.PATIENT_STUDY_ONLY:
        return DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2")
    return DicomDataset(QueryRetrieveLevel="SERIES", SeriesInstanceUID="1.2")


def operations(pacs: Pacs, peer: Peer) -> Iterator[tuple[str, str, Callable[[], object]]]:
    """Yield the operations, each with its SOP class, and what performs it."""
    services = pacs.container.services
    query: QueryScu = services.query_scu()
    retrieve: RetrieveScu = services.retrieve_scu()
    verification: VerificationScu = services.verification_scu()
    keep = InMemory().keep
    yield "C-ECHO", VERIFICATION, lambda: verification.echo(peer)
    for model in InformationModel:
        wanted = study_or_series(model)
        find = partial(query.find, peer, wanted, model, negotiation=EVERYTHING)
        yield "C-FIND", model.find, find
        yield "C-GET", model.get, partial(retrieve.get, peer, wanted, keep, model=model)
        yield "C-MOVE", model.move, partial(retrieve.move, peer, wanted, "X", model=model)
    single = partial(retrieve.get_instances, peer, ["1.2"], keep)
    yield "C-GET", COMPOSITE_INSTANCE_ROOT_GET, single
    yield "C-GET", COMPOSITE_INSTANCE_WITHOUT_BULK_DATA_GET, partial(single, bulk_data=False)


def test_every_context_of_each_operation_is_proposed(
    pacs: Pacs, text: str, statement: ConformanceStatement, recorder: Recorder
) -> None:
    """SOP class, transfer syntaxes, role, extended negotiation, window and AE title are so."""
    (heading, *rows) = next(tables_in(section_of(text, "Proposed Presentation Contexts")))
    assert heading[0] == "Operation"
    (parameters,) = tables_in(section_of(text, "Associations of the Client").split("\n#")[0])
    values = {row[0]: row[1] for row in parameters[1:]}
    claimed = {
        (operation, uid): (tuple(SYNTAX.findall(syntaxes)), role, extended)
        for operation, _, uid, syntaxes, role, extended in rows
    }
    proposed = set()
    sub_operations = {uid for (_, uid), (_, role, _) in claimed.items() if role == "SCP"}
    for operation, sop_class, perform in operations(pacs, recorder.peer):
        perform()
        request = recorder.last()
        wanted = {sop_class, *(sub_operations if operation == "C-GET" else ())}
        expected = {(uid, *claimed[operation, uid][:2]) for uid in wanted}
        assert set(contexts_of(request)) == expected
        information = {
            one.sop_class_uid: one.application_information
            for one in request.user_information.extended_negotiations
        }
        flags = claimed[operation, sop_class][2]
        count = 0 if flags == "–" else len(flags.split(", "))
        assert information == ({sop_class: b"\1" * count} if count else {})
        window = request.user_information.asynchronous_operations_window
        performed = 1 if window is None else window.maximum_performed
        assert performed == (16 if operation == "C-GET" else 1)
        assert request.calling_ae_title.strip() == values["AE title"] == "WARD"
        assert f"{request.user_information.maximum_length} bytes" in values.values()
        proposed |= {(operation, uid) for uid in wanted}
    assert proposed == claimed.keys()
    assert values["Asynchronous operations window, performed"] == "16 for C-GET, otherwise 1"
    assert {(one.operation, one.contexts[0].abstract_syntax) for one in statement.proposals} == {
        (operation, uid) for operation, uid, _ in operations(pacs, recorder.peer)
    }


# -- storage -------------------------------------------------------------------------------------


def storage_claims(text: str) -> dict[str, list[tuple[tuple[str, ...], str]]]:
    """Read which contexts instances have, by when they have them."""
    claims: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    (heading, *rows) = next(tables_in(section_of(text, "Proposed Storage Contexts")))
    assert heading == ["When", "Transfer syntaxes", "Role"]
    for when, syntaxes, role in rows:
        claims.setdefault(when, []).append((tuple(SYNTAX.findall(syntaxes)), role))
    return claims


def for_instance(
    claims: list[tuple[tuple[str, ...], str]], sop_class: str, syntax: str
) -> list[Context]:
    """Say what an instance has by the document: its own syntax first, and nowhere else."""
    own = named(syntax)
    found: list[Context] = []
    for syntaxes, role in claims:
        if syntaxes == (AS_STORED,):
            found.append((sop_class, (own,), role))
        elif others := tuple(one for one in syntaxes if one != own):
            found.append((sop_class, others, role))
    return found


def stored(sop_class: str, syntax: str) -> Instance:
    """Make an instance whose bytes nobody will read."""
    return Instance(sop_class, new_uid(), syntax, MemoryBytes(b""))


@pytest.mark.parametrize("policy", TranscodePolicy)
def test_storage_contexts_are_those_of_what_is_sent(
    policy: TranscodePolicy, text: str, recorder: Recorder
) -> None:
    """Every transfer syntax by every policy, and every SOP class with a private one besides."""
    claims = storage_claims(text)[f"sent by C-STORE, policy {policy}"]
    classes = [one.uid for one in storage_sop_classes()] if policy == "auto" else [CT_IMAGE]
    kinds = [(CT_IMAGE, one.uid) for one in all_transfer_syntaxes()]
    for sop_class, syntax in [*kinds, *((one, EXPLICIT) for one in (*classes, PRIVATE))]:
        StorageScu(transcode=policy).store(recorder.peer, stored(sop_class, syntax))
        assert contexts_of(recorder.last()) == for_instance(claims, sop_class, syntax)


def test_what_a_peer_says_it_has_is_proposed(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A C-GET from an archive that tells SOP class and transfer syntax: as the document says."""
    proposed: list[ProposedContext] = []

    def recording(
        peer: Peer, ae_title: str, contexts: list[ProposedContext], **rest: object
    ) -> object:
        proposed[:] = contexts
        return connect(peer, ae_title, contexts, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr("pacs_sdk.services.scu.connect", recording)
    claims = storage_claims(text)["got by C-GET, where the peer says what it has"]
    instance = make_phantom(PhantomSpec(slices=1, rows=8, columns=8)).unwrap().instances[0]
    study = instance.header().unwrap().text("StudyInstanceUID")
    wanted = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID=study)
    with Pacs.embedded(tmp_path) as archive:
        archive.archive.store(instance).unwrap()
        RetrieveScu().get(archive.peer, wanted, InMemory().keep).unwrap()
    found = [
        (
            one.abstract_syntax,
            tuple(map(named, one.transfer_syntaxes)),
            "SCP" if one.as_scp and not one.as_scu else "SCU",
        )
        for one in proposed[1:]
    ]
    kind = instance.sop_class_uid, instance.transfer_syntax_uid
    assert found == for_instance(claims, *kind)


def test_what_a_move_brings_is_taken(text: str, recorder: Recorder) -> None:
    """The Storage SCP of ``ReceiveHere`` accepts every claimed pair, and no other SOP class."""
    (heading, verification, storage) = next(
        tables_in(section_of(text, "Receiving What a C-MOVE Brings"))
    )
    assert heading == ["SOP classes", "Transfer syntaxes"]
    classes = {one.uid for one in storage_sop_classes()}
    assert storage[0] == f"{len(classes)} storage SOP classes of PS3.6"
    found: list[set[tuple[str, str]]] = []

    def probe(port: int) -> None:
        here = Peer("127.0.0.1", port, "HERE")
        kinds = [(uid, one) for uid in (CT_IMAGE, VERIFICATION) for one in SYNTAXES]
        found.append(accepted(here, kinds, as_scu=True, as_scp=False))
        everything = [(one.uid, EXPLICIT) for one in all_sop_classes()]
        found.append(accepted(here, everything, as_scu=True, as_scp=False))

    wanted = study_or_series(InformationModel.STUDY_ROOT)
    here = ReceiveHere(InMemory().keep, on_ready=probe)
    RetrieveScu().move(recorder.peer, wanted, "HERE", receive=here)
    assert found[0] == {
        (uid, one.uid)
        for uid, row in ((CT_IMAGE, storage), (VERIFICATION, verification))
        for one in all_transfer_syntaxes()
        if one.name in SYNTAX.findall(row[1])
    }
    assert (CT_IMAGE, JPEG_2000) in found[0]
    assert {uid for uid, _ in found[1]} == {*classes, VERIFICATION}


# -- statuses ------------------------------------------------------------------------------------


class Answering:
    """Answers every request with one status."""

    def __init__(self, status: int) -> None:
        self._status = status

    def supported_contexts(self) -> list[SupportedContext]:
        study = InformationModel.STUDY_ROOT
        uids = (VERIFICATION, CT_IMAGE, study.find, study.get, study.move)
        return [SupportedContext(uid, [EXPLICIT, "1.2.840.10008.1.2"]) for uid in uids]

    def handle(self, exchange: Exchange) -> None:
        exchange.respond_status(self._status)


@contextmanager
def answering(status: int) -> Iterator[Peer]:
    """Run a peer that answers so."""
    with DicomServer(ServerConfig(port=0), [Answering(status)]) as server:
        yield Peer("127.0.0.1", server.port)


def performed(operation: str, peer: Peer) -> PacsResult[object]:
    """Carry out an operation."""
    wanted = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2")
    match operation:
        case "C-ECHO":
            return VerificationScu().echo(peer)
        case "C-FIND":
            return QueryScu().find(peer, wanted)
        case "C-GET":
            contexts = [ProposedContext(CT_IMAGE, (EXPLICIT,), as_scu=False, as_scp=True)]
            return RetrieveScu().get(peer, wanted, InMemory().keep, contexts=contexts)
        case "C-MOVE":
            return RetrieveScu().move(peer, wanted, "X")
        case _:
            return StorageScu().store(peer, stored(CT_IMAGE, EXPLICIT))


@pytest.mark.parametrize("operation", ["C-ECHO", "C-FIND", "C-GET", "C-MOVE", "C-STORE"])
def test_each_status_leads_to_what_the_document_says(operation: str, text: str) -> None:
    """A peer that answers with it, and does nothing, gives that error or that result."""
    (heading, *rows) = next(tables_in(section_of(text, f"{operation} as SCU")))
    assert heading == ["Status", "Kind", "Meaning", "Leads to"]
    for shown, kind, _, leads_to in rows:
        if kind == "pending":
            continue
        with answering(int(shown[:4], 16)) as peer:
            result = performed(operation, peer)
        error = re.match(r"the error ([A-Z_]+)", leads_to)
        if error is not None:
            assert result.failure().code.name == error[1]
        else:
            report = result.unwrap()
            if isinstance(report, StoreReport):
                assert report.stored == (0 if "as not stored" in leads_to else 1)
                assert report.outcomes[0].is_warning == ("with a warning" in leads_to)


# -- what else stands in it ----------------------------------------------------------------------


def test_timeouts_and_titles_are_those_of_the_container(pacs: Pacs, text: str) -> None:
    """The values come from the settings of the service class users."""
    associations = section_of(text, "Associations of the Client")
    timeouts = pacs.container.services.timeouts()
    for seconds in (timeouts.connect_s, timeouts.association_s, timeouts.dimse_s):
        assert f"| {seconds:g} s" in associations
    assert "| 30 s, and 120 s in C-GET and C-MOVE |" in associations
    assert f"| {VerificationScu().ae_title} |" in associations.replace("\\", "")


def test_the_tls_of_the_client(text: str) -> None:
    """Each profile with its versions; which one is usual, and what is checked."""
    security = section_of(text, "Secure Transport Connection of the Client")
    (rows,) = tables_in(security)
    assert [row[0] for row in rows[1:]] == [
        "bcp-195",
        "non-downgrading",
        "extended",
        "tls-1.3-only",
    ]
    assert "bcp-195 unless another is chosen" in security
    assert "must name the host" in security
