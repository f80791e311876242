"""Services of a program's own inside a PACS: given to it, or named by its configuration."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs
import pytest
from dependency_injector import providers

from pacs_sdk.core import PacsResult
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.uids import new_uid
from pacs_sdk.encoding import Instance, instance_from_dataset
from pacs_sdk.integration.added_services import ServiceParts, ServiceSource
from pacs_sdk.integration.config import PacsConfig
from pacs_sdk.integration.container import PacsContainer
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import (
    Exchange,
    FunctionService,
    Peer,
    ProposedContext,
    ServerConfig,
    ServiceRequest,
    SupportedContext,
    connect,
)
from pacs_sdk.network.dimse import CEchoRQ, CStoreRQ, Status
from pacs_sdk.services import QueryScu, StorageScu, VerificationScp, VerificationScu
from pacs_sdk.storage import IndexDatabase, index_url
from pacs_sdk.testing import MemoryStorage, RecordingLogger

VERIFICATION = "1.2.840.10008.1.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
WORKLIST = "1.2.840.10008.5.1.4.31"


class Refusing:
    """Takes CT images from the archive, and refuses them all."""

    def supported_contexts(self) -> Sequence[SupportedContext]:
        """List CT images in one encoding."""
        return [SupportedContext(CT_IMAGE, [EXPLICIT])]

    def handle(self, exchange: Exchange) -> None:
        """Refuse."""
        exchange.respond_status(0xA700, "not here")


class Keeping:
    """Keeps CT images in the archive, and counts them."""

    def __init__(self, parts: ServiceParts) -> None:
        self.parts = parts
        self.count = 0

    def supported_contexts(self) -> Sequence[SupportedContext]:
        """List CT images in one encoding."""
        return [SupportedContext(CT_IMAGE, [EXPLICIT])]

    def handle(self, exchange: Exchange) -> None:
        """Keep, and say so with a warning."""
        request = ServiceRequest(exchange.request, exchange)
        self.parts.archive.store(request.instance().unwrap()).unwrap()
        self.count += 1
        exchange.respond_status(0xB000, f"kept by {self.parts.ae_title}")


def make_instance() -> Instance:
    """Make a small CT instance."""
    dataset = DicomDataset(
        SOPClassUID=CT_IMAGE,
        SOPInstanceUID=new_uid(),
        StudyInstanceUID="1.2.3",
        SeriesInstanceUID="1.2.3.4",
        PatientID="P1",
    )
    return instance_from_dataset(dataset).unwrap()


def echoing(status: int) -> FunctionService:
    """Make a service that answers C-ECHO with a status."""
    service = FunctionService([VERIFICATION])

    @service.handles(CEchoRQ)
    def echo(request: ServiceRequest[CEchoRQ]) -> int:
        return status

    return service


# -- given by the program ----------------------------------------------------------------------


@pytest.mark.parametrize("source", [Refusing(), Refusing, functools.partial(Refusing)])
def test_a_service_of_ones_own_replaces_ours(source: ServiceSource, tmp_path: Path) -> None:
    """An object, a class or a function that makes one; the rest of the PACS is as before."""
    logger = RecordingLogger()
    with Pacs.embedded(tmp_path, services=[source], logger=logger) as pacs:
        (outcome,) = StorageScu().store(pacs.peer, [make_instance()]).unwrap().outcomes
        assert (outcome.status, outcome.comment) == (0xA700, "not here")
        VerificationScu().echo(pacs.peer).unwrap()
        assert QueryScu().find(pacs.peer, DicomDataset(QueryRetrieveLevel="STUDY")).unwrap() == ()
    (entry,) = logger.named("service-replaced")
    assert entry.fields["earlier"] == "StorageScp"
    assert entry.fields["later"] == "Refusing"


def test_a_service_may_be_made_of_the_parts_of_the_pacs(tmp_path: Path) -> None:
    """What takes an argument is given archive, AE title, bus, logger, clock and metrics."""
    with Pacs.embedded(tmp_path, ae_title="OURS", services=[Keeping]) as pacs:
        (outcome,) = StorageScu().store(pacs.peer, [make_instance()]).unwrap().outcomes
        assert (outcome.status, outcome.comment) == (0xB000, "kept by OURS")
        assert pacs.archive.statistics().unwrap().instances == 1
        kept = pacs.server.services[CT_IMAGE]
        assert isinstance(kept, Keeping)
        assert kept.count == 1
        assert kept.parts.archive is pacs.archive


def test_a_stopped_pacs_starts_again_with_its_services(tmp_path: Path) -> None:
    """Made anew, where they are made: the archive they hold is the new one."""
    pacs = Pacs.embedded(tmp_path, services=[Keeping])
    for count in (1, 2):
        with pacs:
            StorageScu().store(pacs.peer, [make_instance()]).unwrap()
            assert pacs.archive.statistics().unwrap().instances == count


def test_the_last_of_several_services_wins(tmp_path: Path) -> None:
    """Later ones go before earlier ones, and all before ours."""
    services = [echoing(0x0110), echoing(Status.SUCCESS)]
    with Pacs.embedded(tmp_path, services=services) as pacs:
        VerificationScu().echo(pacs.peer).unwrap()
    with Pacs.embedded(tmp_path, services=services[::-1]) as pacs:
        error = VerificationScu().echo(pacs.peer).failure()
    assert error.code is ErrorCode.VERIFICATION_FAILED


def _nothing() -> object:
    return object()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (5, "5 is neither a service nor something that makes one"),
        (_nothing, "_nothing made object, which is no service"),
        (lambda: Refusing, "made type, which is no service"),
    ],
)
def test_what_is_no_service_fails_the_start_and_leaves_nothing_open(
    source: ServiceSource, words: str, tmp_path: Path
) -> None:
    """The error says what it got; the archive's folder can be opened by others."""
    for begin in (_started, _entered):
        error = begin(Pacs.embedded(tmp_path, services=[source]))
        assert error.error.code is ErrorCode.INVALID_CONFIGURATION
        assert words in error.error.message
    with Pacs.embedded(tmp_path) as pacs:
        VerificationScu().echo(pacs.peer).unwrap()


def _started(pacs: Pacs) -> PacsException:
    return PacsException.of(pacs.start().failure())


def _entered(pacs: Pacs) -> PacsException:
    with pytest.raises(PacsException) as caught, pacs:
        pytest.fail("there is nothing to enter")
    return caught.value


# -- named by the configuration ----------------------------------------------------------------

MODULE = """
from pacs_sdk.network import FunctionService
from pacs_sdk.network.dimse import CFindRQ
from pacs_sdk.core import DicomDataset

worklist = FunctionService(["1.2.840.10008.5.1.4.31"])

@worklist.handles(CFindRQ)
def find(request):
    yield DicomDataset(PatientID="P7")

def make_worklist(parts):
    parts.logger.info("worklist-made", ae_title=parts.ae_title)
    return worklist

broken = 5
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Write a module that a configuration may name."""
    (tmp_path / "ward_services.py").write_text(MODULE, "utf-8")
    (tmp_path / "ward_broken.py").write_text("raise RuntimeError('no licence')", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield "ward_services"
    for name in ("ward_services", "ward_broken"):
        sys.modules.pop(name, None)


def configured(tmp_path: Path, **services: object) -> PacsConfig:
    """Build a configuration with services."""
    return PacsConfig.from_dict(
        {
            "server": {"port": 0, "ae_title": "WARD"},
            "storage": {"data_dir": str(tmp_path / "data")},
            "services": services,
        }
    ).unwrap()


def patients_on(peer: Peer) -> list[int]:
    """Ask a worklist; list the statuses."""
    from pacs_sdk.core.byte_source import MemoryBytes
    from pacs_sdk.network.dimse import CFindRQ

    contexts = [ProposedContext(WORKLIST, ("1.2.840.10008.1.2",))]
    with connect(peer, "TESTER", contexts).unwrap() as association:
        context = association.context_for(WORKLIST).unwrap()
        replies = association.replies(context, CFindRQ(1, WORKLIST), MemoryBytes(b""))
        return [reply.response.status for reply in replies]


@pytest.mark.parametrize("name", ["worklist", "make_worklist"])
def test_a_configuration_adds_services(name: str, module: str, tmp_path: Path) -> None:
    """``package.module:name`` is a service or makes one; the server has it beside ours."""
    logger = RecordingLogger()
    config = configured(tmp_path, added=[f"{module}:{name}"])
    with Pacs.configured(config, logger=logger) as pacs:
        assert patients_on(pacs.peer) == [0xFF00, 0]
        VerificationScu().echo(pacs.peer).unwrap()
    made = [entry.fields["ae_title"] for entry in logger.named("worklist-made")]
    assert made == (["WARD"] if name == "make_worklist" else [])


@pytest.mark.parametrize(
    ("added", "words"),
    [
        ("ward_services", "write it as package.module:name"),
        ("ward_services:no-name", "write it as package.module:name"),
        ("ward_services:other", "the module has no other"),
        ("ward_services:broken", "5 is neither a service"),
        ("ward_missing:worklist", "No module named 'ward_missing'"),
        ("ward_broken:worklist", "RuntimeError: no licence"),
    ],
)
@pytest.mark.usefixtures("module")
def test_a_service_that_cannot_be_loaded_fails_the_start(
    added: str, words: str, tmp_path: Path
) -> None:
    """The error names the setting or the value, and what is wrong with it."""
    error = Pacs.configured(configured(tmp_path, added=[added])).start().failure()
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert words in error.message


def test_only_the_enabled_services_are_there(tmp_path: Path) -> None:
    """A store that cannot be searched has no contexts of C-FIND and C-GET."""
    with Pacs.configured(configured(tmp_path, enabled=["Verification", "storage"])) as pacs:
        assert StorageScu().store(pacs.peer, [make_instance()]).unwrap().stored == 1
        error = QueryScu().find(pacs.peer, DicomDataset(QueryRetrieveLevel="STUDY")).failure()
    assert error.code is ErrorCode.PRESENTATION_CONTEXT_REFUSED


def test_a_server_without_services_is_refused(tmp_path: Path) -> None:
    """It would reject whatever is proposed; with one that is added it has a purpose."""
    pacs = Pacs.configured(configured(tmp_path, enabled=[]))
    error = pacs.start().failure()
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert "nothing would be served" in error.message
    with Pacs.configured(configured(tmp_path, enabled=[]), services=[VerificationScp()]) as alone:
        assert len(alone.server.services) == 1


def test_a_service_that_does_not_exist_cannot_be_enabled(tmp_path: Path) -> None:
    """The error lists those that do."""
    error = Pacs.configured(configured(tmp_path, enabled=["querry"])).start().failure()
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert "no service 'querry'; known are all, verification, storage, query" in error.message


# -- storage, index, logger, clock and metrics of one's own ------------------------------------


@attrs.define
class Counts:
    """Keeps the names of what is counted."""

    names: set[str] = attrs.field(factory=set)

    def increment(self, name: str, value: float = 1.0, **labels: str) -> None:
        """Keep."""
        self.names.add(name)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Do nothing."""

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Keep."""
        self.names.add(name)


@pytest.mark.parametrize("with_backend", [True, False])
@pytest.mark.parametrize("with_index", [True, False])
def test_every_part_may_be_ones_own(with_backend: bool, with_index: bool, tmp_path: Path) -> None:
    """Storage, index, logger and metrics, each by itself or together."""
    backend, logger, counts = MemoryStorage(), RecordingLogger(), Counts()
    container = PacsContainer(config=providers.Object(configured(tmp_path)))
    container.core.logger.override(providers.Object(logger))
    container.core.metrics.override(providers.Object(counts))
    if with_backend:
        container.storage.backend.override(providers.Object(backend))
    if with_index:
        container.storage.index.override(
            providers.Singleton(IndexDatabase, index_url(tmp_path / "elsewhere.sqlite"))
        )
    with Pacs(container) as pacs:
        assert StorageScu().store(pacs.peer, [make_instance()]).unwrap().stored == 1
        logger.wait_for("association-released")
    assert len(list(backend.list())) == with_backend
    assert (tmp_path / "elsewhere.sqlite").exists() is with_index
    assert (tmp_path / "data" / "index.sqlite").exists() is not with_index
    assert {"pacs_dimse_requests_total", "pacs_dimse_request_seconds"} <= counts.names


def test_a_typed_handler_may_return_what_the_archive_returns(tmp_path: Path) -> None:
    """The result of a store is an answer: no translation stands between."""

    def receiving(parts: ServiceParts) -> FunctionService:
        service = FunctionService([CT_IMAGE])

        @service.handles(CStoreRQ)
        def store(request: ServiceRequest[CStoreRQ]) -> PacsResult[object]:
            return parts.archive.store(request.instance().unwrap())

        return service

    make: Callable[[ServiceParts], FunctionService] = receiving
    with Pacs.embedded(tmp_path, services=[make]) as pacs:
        assert StorageScu().store(pacs.peer, [make_instance()]).unwrap().stored == 1
        assert pacs.archive.statistics().unwrap().instances == 1
        assert isinstance(pacs.server.config, ServerConfig)
