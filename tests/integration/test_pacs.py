"""The whole PACS as one object, and the container behind it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Final, NoReturn

import pytest
from dependency_injector import providers

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.events import InstanceStored
from pacs_sdk.core.ports import NullLogger, NullMetricSink
from pacs_sdk.core.results import Failure, Success
from pacs_sdk.core.uids import new_uid
from pacs_sdk.encoding import Instance, instance_from_dataset
from pacs_sdk.integration.config import PacsConfig
from pacs_sdk.integration.container import PacsContainer
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import ClientTimeouts, DicomServer, ServerConfig
from pacs_sdk.services import (
    IncomingInstance,
    QueryScu,
    RetrieveScu,
    StorageScu,
    StoreVerdict,
    VerificationScp,
    VerificationScu,
    Warn,
)
from pacs_sdk.storage import Archive, IndexDatabase, Query, StoredInstance, reindex
from pacs_sdk.testing import FakeClock, MemoryStorage, RecordingLogger


def make_instance() -> Instance:
    """Make a small CT instance."""
    dataset = DicomDataset(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        SOPInstanceUID=new_uid(),
        StudyInstanceUID="1.2.3",
        SeriesInstanceUID="1.2.3.4",
        PatientID="P1",
    )
    return instance_from_dataset(dataset).unwrap()


def test_an_embedded_pacs_serves_while_its_context_lasts(tmp_path: Path) -> None:
    """It answers inside the context, and its port is closed after it."""
    with Pacs.embedded(tmp_path) as pacs:
        peer = pacs.peer
        VerificationScu().echo(peer).unwrap()
    assert VerificationScu().echo(peer).failure().code is ErrorCode.CONNECTION_FAILED


def test_a_stopped_pacs_can_be_started_again(tmp_path: Path) -> None:
    """What was stored before the stop is there after the new start."""
    pacs = Pacs.embedded(tmp_path)
    instance = make_instance()
    with pacs:
        StorageScu().store(pacs.peer, [instance]).unwrap()
    with pacs:
        kept = pacs.archive.open(instance.sop_instance_uid).unwrap()
        assert kept.encoded.view() == instance.encoded.view()
        VerificationScu().echo(pacs.peer).unwrap()


def test_starting_twice_is_misuse_and_harmless(tmp_path: Path) -> None:
    """A second start is PROTOCOL_MISUSE; the PACS goes on."""
    with Pacs.embedded(tmp_path) as pacs:
        assert pacs.start().failure().code is ErrorCode.PROTOCOL_MISUSE
        StorageScu().store(pacs.peer, [make_instance()]).unwrap()


@pytest.mark.filterwarnings("ignore:the metrics failed:RuntimeWarning")
def test_metrics_that_raise_cost_no_image(tmp_path: Path) -> None:
    """Images are received while their collector cannot be reached, and the PACS stops as usual."""

    class Unreachable(NullMetricSink):
        never_raises = False

        def increment(self, name: str, value: float = 1.0, **labels: str) -> None:
            raise OSError(113, "No route to host")

        gauge = observe = increment

    pacs = Pacs.embedded(tmp_path)
    pacs.container.core.metrics.override(providers.Object(Unreachable()))
    with pacs:
        assert StorageScu().store(pacs.peer, make_instance()).unwrap().stored == 1
        assert pacs.archive.statistics().unwrap().instances == 1


def test_a_second_pacs_of_a_container_leaves_the_first_alone(tmp_path: Path) -> None:
    """Its start fails, and does not close what it has together with the one that runs."""
    config = PacsConfig.from_dict({"server": {"port": 0}, "storage": {"data_dir": str(tmp_path)}})
    container = PacsContainer(config=providers.Object(config.unwrap()))
    with Pacs(container) as first:
        second = Pacs(container)
        failure = second.start().failure()
        assert failure.code is ErrorCode.PROTOCOL_MISUSE
        second.stop()
        assert StorageScu().store(first.peer, make_instance()).unwrap().stored == 1


class ListOfEvents(list[str]):
    """A logger of a test suite: false as long as it is empty."""

    def bind(self, **fields: object) -> ListOfEvents:
        """Keep no context."""
        return self

    def debug(self, event: str, **fields: object) -> None:
        """Keep the event."""
        self.append(event)

    info = warning = error = debug


def test_an_empty_logger_is_a_logger(tmp_path: Path) -> None:
    """What keeps entries as a list is false before the first, and is used all the same."""
    logger = ListOfEvents()
    with Pacs.embedded(tmp_path, logger=logger):
        assert "server-started" in logger
    logger = ListOfEvents()
    with DicomServer(ServerConfig(port=0), [VerificationScp()], logger=logger):
        assert "server-started" in logger


def test_a_retrieval_waits_longer_than_the_others(tmp_path: Path) -> None:
    """The peer may have to fetch from slow storage, and of a C-MOVE it need not tell meanwhile."""
    services = Pacs.embedded(tmp_path).container.services
    assert services.query_scu().timeouts.dimse_s == QueryScu().timeouts.dimse_s == 30.0
    assert services.retrieve_scu().timeouts == RetrieveScu().timeouts
    assert RetrieveScu().timeouts == ClientTimeouts(dimse_s=120.0)


def test_a_port_in_use_is_a_failure_that_says_so(tmp_path: Path) -> None:
    """``start`` gives PORT_UNAVAILABLE with the port; the context manager raises it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = Pacs.embedded(tmp_path, port=port).start().failure()
        assert error.code is ErrorCode.PORT_UNAVAILABLE
        assert str(port) in error.message
        with pytest.raises(PacsException, match=str(port)), Pacs.embedded(tmp_path, port=port):
            pass


def test_after_a_start_that_failed_it_can_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the reason is gone the next try succeeds, with a new archive and server."""
    error = PacsError(ErrorCode.INDEX_FAILED, "the index could not be written: the disk is full")
    pacs = Pacs.embedded(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Archive, "rehearse", lambda _: Failure(error))
        assert pacs.start().failure() == error
    with pacs.start().unwrap():
        StorageScu().store(pacs.peer, [make_instance()]).unwrap()
        assert pacs.archive.statistics().unwrap().instances == 1


@pytest.mark.parametrize("before", ["nothing", "stopped", "failed"])
def test_stopping_what_does_not_run_does_nothing(tmp_path: Path, before: str) -> None:
    """No archive is opened or made to be closed, and nothing is raised in a ``finally``."""
    folder = tmp_path / "archive"
    pacs = Pacs.embedded(folder)
    if before == "stopped":
        with pacs:
            pass
        shutil.rmtree(folder)
    elif before == "failed":
        folder.write_text("in the way")
        assert pacs.start().failure().code is ErrorCode.STORAGE_WRITE_FAILED
        folder.unlink()
    pacs.stop()
    assert not folder.exists()


def test_a_start_that_is_interrupted_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the archive is opened or put right: another process can have it then."""

    def interrupted(_: Archive) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(Archive, "rehearse", interrupted)
    pacs = Pacs.embedded(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        pacs.start()
    reindex(tmp_path, processes=1).unwrap()


FORKING: Final = """
import os, sys
from pacs_sdk import Pacs, PacsConfig
from pacs_sdk.services import StorageScu
from tests.storage.made_instances import made_instance

config = {{"server": {{"port": 0, "driver": "{driver}"}}, "storage": {{"data_dir": sys.argv[1]}}}}
with Pacs.configured(PacsConfig.from_dict(config).unwrap()) as pacs:
    StorageScu().store(pacs.peer, made_instance(SOPInstanceUID="1.2.3.1")).unwrap()
    child = os.fork()
    if not child:
        sys.exit(7)  # leaves the context as well, and so stops the PACS
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    report = StorageScu().store(pacs.peer, made_instance(SOPInstanceUID="1.2.3.2")).unwrap()
    assert report.stored == 1
    assert pacs.archive.statistics().unwrap().instances == 2
print("stopped")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("driver", ["threaded", "asyncio"])
@pytest.mark.slow
def test_a_fork_that_ends_takes_nothing_from_its_parent(tmp_path: Path, driver: str) -> None:
    """It has inherited sockets, pipes and locks, but not the threads that serve."""
    script = FORKING.format(driver=driver)
    command = [sys.executable, "-W", "ignore", "-c", script, str(tmp_path)]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=root
    )
    assert (done.stdout, done.stderr) == ("stopped\n", "")


def test_a_pacs_is_shown_in_words(tmp_path: Path) -> None:
    """Who it is, where, and whether it runs; to show it opens nothing."""
    pacs = Pacs.embedded(tmp_path / "new", ae_title="WARD")
    where = f"archive in {tmp_path / 'new'}"
    assert repr(pacs) == f"<Pacs WARD at 127.0.0.1 port 0, not running; {where}>"
    assert not (tmp_path / "new").exists()
    with pacs:
        assert repr(pacs) == f"<Pacs WARD at 127.0.0.1 port {pacs.port}, running; {where}>"
        assert repr(pacs.server) == f"<DicomServer WARD at 127.0.0.1 port {pacs.port}, running>"


@pytest.mark.filterwarnings("ignore:the logger failed:RuntimeWarning")
def test_a_logger_that_raises_costs_no_image(tmp_path: Path) -> None:
    """Images are received and found while nothing can be logged, and the PACS stops as usual."""

    class FullLog(NullLogger):
        never_raises = False

        def debug(self, event: str, **fields: object) -> None:
            raise OSError(28, "No space left on device")

        info = warning = error = debug

    with Pacs.embedded(tmp_path, logger=FullLog()) as pacs:
        assert StorageScu().store(pacs.peer, make_instance()).unwrap().stored == 1
        assert pacs.archive.statistics().unwrap().instances == 1


def test_only_one_of_several_threads_starts_it(tmp_path: Path) -> None:
    """The others are told that it runs, and one stop ends it all."""
    pacs = Pacs.embedded(tmp_path)
    together = threading.Barrier(8)

    def start() -> bool:
        together.wait()
        return isinstance(pacs.start(), Success)

    with ThreadPoolExecutor(8) as threads:
        started = [threads.submit(start) for _ in range(8)]
        assert sum(one.result() for one in started) == 1
    VerificationScu().echo(pacs.peer).unwrap()
    pacs.stop()
    reindex(tmp_path, processes=1).unwrap()


def test_storing_is_rehearsed_before_anybody_can_send(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the index cannot be written, the start says so, and no port is open."""
    error = PacsError(ErrorCode.INDEX_FAILED, "the index could not be written: the disk is full")
    monkeypatch.setattr(Archive, "rehearse", lambda _: Failure(error))
    pacs = Pacs.embedded(tmp_path)
    assert pacs.start().failure() == error
    assert not pacs.server.is_running


def test_every_provider_can_be_replaced(tmp_path: Path) -> None:
    """An archive over memory and a recording logger take the places of the defaults."""
    logger, backend = RecordingLogger(), MemoryStorage()
    container = PacsContainer(config=providers.Object(PacsConfig(server=ServerConfig(port=0))))
    container.core.logger.override(providers.Object(logger))
    container.storage.archive.override(
        providers.Singleton(
            Archive, backend, providers.Singleton(IndexDatabase, f"sqlite:///{tmp_path}/i.sqlite")
        )
    )
    instance = make_instance()
    with Pacs(container) as pacs:
        StorageScu().store(pacs.peer, [instance]).unwrap()
    assert [stored.key for stored in backend.list()] == [
        f"1.2.3/1.2.3.4/{instance.sop_instance_uid}.dcm"
    ]
    assert "association-accepted" in [entry.event for entry in logger.entries]


class SizedStorage(MemoryStorage):
    """Has a length, as a back end may: how many objects there are."""

    def __len__(self) -> int:
        return len(list(self.list()))


def test_an_empty_storage_is_a_storage(tmp_path: Path) -> None:
    """Objects go to the back end of the program also where it is false as long as it is empty."""
    backend = SizedStorage()
    pacs = Pacs.embedded(tmp_path)
    pacs.container.storage.backend.override(providers.Object(backend))
    with pacs:
        pacs.archive.store(make_instance()).unwrap()
    assert len(backend) == 1
    assert not (tmp_path / "objects").exists()


@pytest.mark.parametrize("kind", [None, MemoryStorage])
def test_the_clock_of_the_container_is_the_archives(
    tmp_path: Path, kind: type[MemoryStorage] | None
) -> None:
    """Studies settle, changes happen, and what is deleted goes, when that clock says so."""
    clock = FakeClock()
    pacs = Pacs.embedded(tmp_path)
    pacs.container.core.clock.override(providers.Object(clock))
    pacs.container.storage.backend.override(providers.Object(kind and kind()))
    with pacs:
        pacs.archive.store(make_instance()).unwrap()
        archive = pacs.archive
        assert archive.settler.step().unwrap() == ()
        clock.advance(120)
        assert archive.settler.step().unwrap() == ("1.2.3",)
        (stored, settled) = archive.feed.read("test").unwrap()
        assert (settled.at - stored.at).total_seconds() == 120
        study = Query.of("STUDY", StudyInstanceUID="1.2.3").unwrap()
        archive.deletion.delete(study, keep=timedelta(days=1)).unwrap()
        assert archive.deletion.purge().unwrap() == 0
        clock.advance(timedelta(days=2).total_seconds())
        assert archive.deletion.purge().unwrap() == 1


def test_the_bus_tells_of_each_stored_instance(tmp_path: Path) -> None:
    """A subscriber hears of an instance once it is safe; a resend is no news."""
    pacs = Pacs.embedded(tmp_path)
    heard: list[InstanceStored] = []
    pacs.container.core.bus().subscribe(InstanceStored, heard.append)
    instance = make_instance()
    with pacs:
        for _ in range(2):
            StorageScu().store(pacs.peer, [instance]).unwrap()
    assert [event.sop_instance_uid for event in heard] == [instance.sop_instance_uid]


def test_only_the_configured_sop_classes_are_stored(tmp_path: Path) -> None:
    """A PACS for magnetic resonance has no context for a CT image."""
    config = PacsConfig.from_dict(
        {
            "server": {"port": 0},
            "storage": {"data_dir": str(tmp_path)},
            "services": {"storage_sop_classes": ["MR"]},
        }
    ).unwrap()
    with Pacs.configured(config) as pacs:
        (outcome,) = StorageScu().store(pacs.peer, [make_instance()]).unwrap().outcomes
        assert not outcome.is_stored
        assert "accepted no fitting context for CT Image Storage" in outcome.comment


def test_rules_and_hooks_of_a_pacs(tmp_path: Path) -> None:
    """Configured rules come first, then the program's hooks; others hear of what is safe."""
    config = PacsConfig.from_dict(
        {
            "server": {"port": 0},
            "storage": {"data_dir": str(tmp_path)},
            "reception": {
                "rules": [{"calling_ae_titles": ["STRANGER"], "comment": "unknown"}],
                "only_transfer_syntaxes": ["ExplicitVRLittleEndian"],
            },
        }
    ).unwrap()
    asked: list[str] = []
    safe: list[str] = []

    def ask(incoming: IncomingInstance) -> StoreVerdict:
        asked.append(incoming.association.calling_ae_title)
        return Warn(0xB007, "odd")

    def note(incoming: IncomingInstance, stored: StoredInstance) -> None:
        safe.append(stored.identity.sop_instance_uid)

    pacs = Pacs.configured(config)
    pacs.container.services.before_store.override(providers.Object([ask]))
    pacs.container.services.after_store.override(providers.Object([note]))
    instance = make_instance()
    with pacs:
        (refused,) = StorageScu("STRANGER").store(pacs.peer, instance).unwrap().outcomes
        (warned,) = StorageScu("FRIEND").store(pacs.peer, instance).unwrap().outcomes
    assert (refused.status, refused.comment) == (0x0124, "unknown")
    assert (warned.status, warned.comment) == (0xB007, "odd")
    assert asked == ["FRIEND"]
    assert safe == [instance.sop_instance_uid]


class CountingHook:
    """Is called for each instance that is safe."""

    count = 0

    def __call__(self, incoming: IncomingInstance, stored: StoredInstance) -> None:
        CountingHook.count += 1


def warn_of_everything(_: IncomingInstance) -> StoreVerdict:
    """Have every sender warned."""
    return Warn(0xB007, "from the configuration")


HERE = "tests.integration.test_pacs"


def _with_hooks(folder: Path, **reception: object) -> PacsConfig:
    return PacsConfig.from_dict(
        {"server": {"port": 0}, "storage": {"data_dir": str(folder)}, "reception": reception}
    ).unwrap()


def test_hooks_are_named_in_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function, and a class that a hook is made of, are imported when the PACS starts."""
    monkeypatch.setitem(sys.modules, HERE, sys.modules[__name__])
    before = CountingHook.count
    config = _with_hooks(
        tmp_path,
        before_store=[f"{HERE}:warn_of_everything"],
        after_store=[f"{HERE}:CountingHook"],
    )
    with Pacs.configured(config) as pacs:
        (outcome,) = StorageScu().store(pacs.peer, make_instance()).unwrap().outcomes
    assert outcome.comment == "from the configuration"
    assert CountingHook.count - before == 1


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("tests", "write it as package.module:name"),
        ("no_such_module:hook", "ModuleNotFoundError"),
        ("json:hook", "the module has no hook"),
        ("math:pi", "is float, which cannot be called"),
        ("threading:Timer", "cannot be made: TypeError"),
    ],
)
@pytest.mark.parametrize("setting", ["before_store", "after_store"])
def test_a_hook_that_cannot_be_loaded_fails_the_start(
    tmp_path: Path, setting: str, path: str, words: str
) -> None:
    """The error names the setting and what is wrong."""
    error = Pacs.configured(_with_hooks(tmp_path, **{setting: [path]})).start().failure()
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert error.message.startswith(f"reception.{setting}: ")
    assert words in error.message
