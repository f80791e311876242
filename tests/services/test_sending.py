"""The Storage SCU: what it takes, over which associations, and what becomes of each instance."""

from __future__ import annotations

import itertools
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom.data
import pytest
from pydicom.dataset import Dataset

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import Failure, PacsResult
from pacs_sdk.core.uids import new_uid
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    read_file,
)
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import (
    ClientTimeouts,
    DicomAssociation,
    DicomServer,
    Exchange,
    Peer,
    RetryPolicy,
    ServerConfig,
    connect,
)
from pacs_sdk.services import StorageScu, StoreOutcome, StoreSource
from pacs_sdk.services.sending import sender
from pacs_sdk.storage import Query
from tests.services.conftest import CT, MakeInstance
from tests.services.ended_connections import EndedConnections
from tests.services.receivers import (
    Receiver,
    Script,
    Waits,
    abort,
    answer,
    hang_up,
    line_to,
    receiving,
    take,
)

TEST_FILES = Path(pydicom.data.__file__).parent / "test_files"
SERIES = TEST_FILES / "dicomdirtests/98892001/CT5N"
MR = "1.2.840.10008.5.1.4.1.1.4"

# -- what is sent ----------------------------------------------------------------------------


def test_files_folders_instances_and_data_sets(tmp_path: Path, make_instance: MakeInstance) -> None:
    """All of them may be mixed; outcomes come in this order, files with their path."""
    folder = tmp_path / "deep/er"
    folder.mkdir(parents=True)
    first, second, *_ = sorted(SERIES.iterdir())
    shutil.copy(first, folder / "b.dcm")
    instance = make_instance()
    plain = pydicom.dcmread(second)
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = CT, new_uid()
    service = Receiver()
    with receiving(service) as peer:
        report = StorageScu().store(peer, [instance, plain, tmp_path, str(second), made]).unwrap()
    assert [outcome.status for outcome in report.outcomes] == [0] * 5
    assert [outcome.source for outcome in report.outcomes] == [
        "",
        "",
        str(folder / "b.dcm"),
        str(second),
        "",
    ]
    assert service.uids == [outcome.sop_instance_uid for outcome in report.outcomes]
    assert service.received[3].data == bytes(read_file(second).unwrap().encoded.view())


def test_one_source_needs_no_list(make_instance: MakeInstance) -> None:
    """A single instance, data set or path is taken as it is."""
    service = Receiver()
    sources: list[StoreSource] = [
        make_instance(),
        make_instance().dataset().unwrap(),
        make_instance().dataset().unwrap().pydicom,
        SERIES,
    ]
    with receiving(service) as peer:
        assert [StorageScu().store(peer, one).unwrap().stored for one in sources] == [1, 1, 1, 5]


def test_what_an_archive_finds_is_sent(pacs: Pacs, make_instance: MakeInstance) -> None:
    """The iterator of ``Archive.instances`` is a source, also for several associations."""
    sent = [make_instance(InstanceNumber=number) for number in range(12)]
    StorageScu().store(pacs.peer, sent).unwrap()
    service = Receiver()
    with receiving(service) as peer:
        found = pacs.archive.instances(Query.of("STUDY").unwrap()).unwrap()
        report = StorageScu(parallel=3).store(peer, found).unwrap()
    assert report.stored == 12
    assert {one.sop_instance_uid for one in sent} == set(service.uids)


def test_a_stream_is_read_as_it_is_sent(make_instance: MakeInstance) -> None:
    """With a look-ahead of 1 each instance has arrived before the next one is asked for."""
    service = Receiver()
    had: list[int] = []

    def stream() -> Iterator[Instance]:
        for _ in range(5):
            had.append(len(service.received))
            yield make_instance()

    with receiving(service) as peer:
        assert StorageScu(look_ahead=1).store(peer, stream()).unwrap().stored == 5
    assert had == [0, 1, 2, 3, 4]
    assert service.associations == 1


def test_a_stream_is_not_read_far_ahead(make_instance: MakeInstance) -> None:
    """Of a long iterable only the look-ahead is opened before the first is sent."""
    service = Receiver()
    read: list[int] = []
    read_at_first: list[int] = []

    def stream() -> Iterator[Instance]:
        for number in range(40):
            read.append(number)
            yield make_instance()

    def note(_: StoreOutcome) -> None:
        if not read_at_first:
            read_at_first.append(len(read))

    with receiving(service) as peer:
        report = StorageScu(look_ahead=8).store(peer, stream(), note).unwrap()
    assert report.stored == 40
    assert read_at_first == [8]


def test_a_stream_that_fails_loses_nothing_before_it(make_instance: MakeInstance) -> None:
    """What was read is sent; the failure is the last outcome."""

    def stream() -> Iterator[Instance]:
        yield make_instance()
        raise PacsException(ErrorCode.INDEX_FAILED, "the index is gone")

    with receiving(Receiver()) as peer:
        report = StorageScu().store(peer, stream()).unwrap()
    good, bad = report.outcomes
    assert good.status == 0
    assert (bad.status, bad.error, bad.comment) == (
        None,
        ErrorCode.INDEX_FAILED,
        "the index is gone",
    )


def test_unreadable_files_are_outcomes_and_others_are_skipped(tmp_path: Path) -> None:
    """A cut file and a missing one are failures with their path; a text and a DICOMDIR aren't."""
    shutil.copytree(SERIES, tmp_path / "ct")
    (tmp_path / "ct/a-cut").write_bytes((TEST_FILES / "CT_small.dcm").read_bytes()[:-1000])
    (tmp_path / "ct/a-text").write_text("hello")
    shutil.copy(TEST_FILES / "dicomdirtests/DICOMDIR", tmp_path / "ct/DICOMDIR")
    with receiving(Receiver()) as peer:
        report = StorageScu().store(peer, [tmp_path / "ct", tmp_path / "missing"]).unwrap()
    assert report.stored == 5
    assert [(Path(one.source).name, one.error) for one in report.failures] == [
        ("a-cut", ErrorCode.TRUNCATED),
        ("missing", ErrorCode.FILE_NOT_FOUND),
    ]
    assert [(Path(one.path).name, one.error.code) for one in report.skipped] == [
        ("DICOMDIR", ErrorCode.OPERATION_NOT_SUPPORTED),
        ("a-text", ErrorCode.NOT_DICOM),
    ]


def test_a_file_that_vanishes_before_its_turn(tmp_path: Path) -> None:
    """It is a failure of its own; the association and the others go on."""
    shutil.copytree(SERIES, tmp_path / "ct")
    files = sorted((tmp_path / "ct").iterdir())
    instances = [read_file(path).unwrap() for path in files]
    files[2].unlink()
    service = Receiver()
    with receiving(service) as peer:
        report = StorageScu().store(peer, instances).unwrap()
    assert [outcome.is_stored for outcome in report.outcomes] == [True, True, False, True, True]
    assert report.failures[0].error is ErrorCode.FILE_READ_FAILED
    assert service.associations == 1


def test_a_file_that_is_replaced_before_its_turn(tmp_path: Path) -> None:
    """What lies there now is another instance: it is not sent as the one that was opened."""
    shutil.copytree(SERIES, tmp_path / "ct")
    files = sorted((tmp_path / "ct").iterdir())

    def replace(outcome: StoreOutcome) -> None:
        if outcome.source == str(files[0]):
            shutil.copyfile(files[0], files[3])

    service = Receiver()
    with receiving(service) as peer:
        report = StorageScu().store(peer, files, replace).unwrap()
    assert [outcome.is_stored for outcome in report.outcomes] == [True, True, True, False, True]
    assert report.failures[0].error is ErrorCode.FILE_READ_FAILED
    assert "was changed after it had been opened" in report.failures[0].explanation
    assert report.failures[0].attempts == 0


@pytest.mark.parametrize("given", [5, [5], [None], {"a": 1}.items()])
def test_what_cannot_be_sent_is_an_argument_error(given: object) -> None:
    """The words say what is taken."""
    if isinstance(given, int):
        given = [given]
    error = StorageScu().store(Peer("127.0.0.1", 1), given).failure()  # type: ignore[arg-type]
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "files or folders" in error.message


# -- over which associations -----------------------------------------------------------------


def test_a_new_kind_later_gets_an_association_that_has_it(make_instance: MakeInstance) -> None:
    """Kinds that were not seen ahead are proposed beside the old ones, on a new association."""
    service = Receiver(sop_classes=[CT, MR])
    kinds = [CT, CT, MR, CT, MR]
    with receiving(service) as peer:
        report = (
            StorageScu(look_ahead=1)
            .store(peer, [make_instance(SOPClassUID=uid) for uid in kinds])
            .unwrap()
        )
    assert report.stored == 5
    assert service.associations == 2


@pytest.mark.parametrize("window", [1, 4])
def test_several_associations_send_everything_once(
    make_instance: MakeInstance, window: int
) -> None:
    """Each has something to send, and nothing is sent twice; outcomes keep their order."""
    service = Receiver()
    sent = [make_instance(InstanceNumber=number) for number in range(40)]
    scu = StorageScu(parallel=4, window=window, look_ahead=8)
    seen: list[StoreOutcome] = []
    with receiving(service) as peer:
        report = scu.store(peer, iter(sent), seen.append).unwrap()
    uids = [one.sop_instance_uid for one in sent]
    assert [outcome.sop_instance_uid for outcome in report.outcomes] == uids
    assert sorted(service.uids) == sorted(uids)
    assert sorted(one.sop_instance_uid for one in seen) == sorted(uids)
    assert service.associations == 4


def test_a_peer_that_allows_fewer_associations_gets_everything(
    make_instance: MakeInstance,
) -> None:
    """What was meant for a refused association goes over the others (PS3.8 9.3.4)."""
    service = Receiver()
    sent = [make_instance() for _ in range(9)]
    with receiving(service, max_associations=2) as peer:
        report = StorageScu(parallel=5).store(peer, sent).unwrap()
    assert report.stored == 9
    assert len(service.uids) == 9


def test_whoever_was_accepted_waits_for_those_that_may_be_refused(
    make_instance: MakeInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a peer takes its time to refuse, the others have sent all else, and are still there."""
    all_but_three = threading.Event()
    numbers = itertools.count(1)

    def slow_refusal(*args: Any, **kwargs: Any) -> PacsResult[DicomAssociation]:
        if next(numbers) <= 2:
            return connect(*args, **kwargs)
        assert all_but_three.wait(30)
        return Failure(PacsError(ErrorCode.ASSOCIATION_REJECTED, "too many associations"))

    def tell(exchange: Exchange) -> None:
        take(exchange)
        if len(service.uids) == 6:
            all_but_three.set()

    service = Receiver(*[tell] * 9)
    monkeypatch.setattr(sender, "connect", slow_refusal)
    with receiving(service) as peer:
        report = StorageScu(parallel=5).store(peer, [make_instance() for _ in range(9)]).unwrap()
    assert report.stored == 9
    assert service.associations == 2


def test_a_peer_that_does_not_wait_for_a_slow_source(make_instance: MakeInstance) -> None:
    """An association that the peer ended meanwhile is replaced; that costs no instance anything."""
    logger = EndedConnections()

    def stream() -> Iterator[Instance]:
        yield make_instance()
        assert logger.ended.wait(30)
        yield make_instance()

    service = Receiver()
    config = ServerConfig(port=0, idle_timeout_s=0.3)
    with DicomServer(config, [service], logger=logger) as server:
        peer = Peer(server.host, server.port)
        report = StorageScu(look_ahead=1).store(peer, stream()).unwrap()
    assert [(one.status, one.attempts) for one in report.outcomes] == [(0, 1), (0, 1)]
    assert service.associations == 2


def test_a_slow_source_is_shared_by_several_associations(make_instance: MakeInstance) -> None:
    """Without looking ahead, too, each further instance may go over a further association."""
    together = threading.Barrier(3, timeout=30)

    def meet(exchange: Exchange) -> None:
        together.wait()
        take(exchange)

    def stream() -> Iterator[Instance]:
        for _ in range(9):
            yield make_instance()

    service = Receiver(meet, meet, meet)
    with receiving(service) as peer:
        report = StorageScu(look_ahead=1, parallel=3).store(peer, stream()).unwrap()
    assert report.stored == 9
    assert service.associations == 3


def test_instances_go_ahead_of_their_answers(make_instance: MakeInstance) -> None:
    """Where the peer grants a window, more than one is under way (PS3.7 D.3.3.3)."""
    asked = threading.Semaphore(0)

    def after_four(exchange: object) -> None:
        for _ in range(3):
            assert asked.acquire(timeout=30)
        take(exchange)  # type: ignore[arg-type]

    def stream() -> Iterator[Instance]:
        for _ in range(8):
            asked.release()
            yield make_instance()

    service = Receiver(after_four)
    with receiving(service) as peer:
        report = StorageScu(window=4, look_ahead=1).store(peer, stream()).unwrap()
    assert report.stored == 8


# -- outcomes --------------------------------------------------------------------------------


def test_an_outcome_tells_how_it_went(make_instance: MakeInstance) -> None:
    """Status, comment, transfer syntax, time and attempts of each are there."""
    service = Receiver(take, answer(0xB007, "odd"), answer(0xC123, "no"))
    with receiving(service) as peer:
        report = StorageScu().store(peer, [make_instance() for _ in range(3)]).unwrap()
    good, odd, bad = report.outcomes
    assert [one.is_stored for one in report.outcomes] == [True, True, False]
    assert (report.warnings, report.failures) == ((odd,), (bad,))
    assert not good.is_warning
    assert good.transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN.uid
    assert good.sent_sop_instance_uid == good.sop_instance_uid
    assert good.attempts == 1
    assert good.duration_s > 0
    assert odd.explanation.startswith("B007H, warning: ")
    assert odd.explanation.endswith(": odd")
    assert (bad.status, bad.error, bad.comment) == (0xC123, None, "no")


def test_a_notebook_shows_counts_and_what_was_not_stored(make_instance: MakeInstance) -> None:
    """Text that came from the peer is shown as text; of very many failures the first."""
    service = Receiver(take, *([answer(0xC000, "<b>no</b>")] * 30), answer(0xB007))
    with receiving(service) as peer:
        report = StorageScu().store(peer, [make_instance() for _ in range(32)]).unwrap()
    assert str(report) == "stored 2 of 32 instances, 1 with a warning"
    shown = report._repr_html_()
    assert shown.startswith(f"<p>{report}</p><table>")
    assert "&lt;b&gt;no&lt;/b&gt;" in shown
    assert shown.count("<tr><td>") == 20
    assert "… and 10 more" in shown


def test_elements_are_named_in_words() -> None:
    """Standard elements by keyword, others by number."""
    outcome = StoreOutcome("1.2.3", 0, 0xA900, "odd", offending_elements=(0x00080060, 0x00091001))
    assert outcome.offending == "Modality, (0009,1001)"
    assert outcome.explanation.endswith(": odd (Modality, (0009,1001))")


# -- again -----------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [abort, hang_up])
@pytest.mark.parametrize("window", [1, 8])
def test_after_a_lost_connection_the_rest_goes_over_a_new_one(
    make_instance: MakeInstance, end: Script, window: int
) -> None:
    """Without retries what was under way is a failure with the reason; nothing is forgotten."""
    service = Receiver(take, take, end)
    sent = [make_instance(InstanceNumber=number) for number in range(20)]
    with receiving(service) as peer:
        report = StorageScu(window=window).store(peer, sent).unwrap()
    assert len(report.outcomes) == 20
    assert 1 <= len(report.failures) <= window
    assert {one.error for one in report.failures} == {ErrorCode.ASSOCIATION_ABORTED}
    assert {one.attempts for one in report.failures} == {1}
    assert service.associations == 2


@pytest.mark.parametrize("end", [abort, hang_up])
@pytest.mark.parametrize("parallel", [1, 3])
@pytest.mark.parametrize("window", [1, 8])
def test_with_retries_a_lost_connection_loses_nothing(
    make_instance: MakeInstance, end: Script, parallel: int, window: int
) -> None:
    """What was under way is sent again when the others have had their turn."""
    service = Receiver(take, end, take, take, end)
    sent = [make_instance(InstanceNumber=number) for number in range(20)]
    scu = StorageScu(window=window, parallel=parallel, retry=RetryPolicy(attempts=5))
    with receiving(service) as peer:
        report = scu.store(peer, sent, stop=Waits()).unwrap()
    assert report.stored == 20
    assert max(one.attempts for one in report.outcomes) > 1
    assert {one.sop_instance_uid for one in sent} == set(service.uids)


def test_a_peer_that_falls_silent(make_instance: MakeInstance) -> None:
    """After ``dimse_s`` without a byte the association is given up; the rest goes over another."""
    silent = threading.Event()

    def say_nothing(exchange: Exchange) -> None:
        silent.wait(30)

    service = Receiver(take, say_nothing)
    scu = StorageScu(timeouts=ClientTimeouts(dimse_s=0.3))
    sent = [make_instance() for _ in range(4)]
    with receiving(service) as peer:
        report = scu.store(peer, sent).unwrap()
        silent.set()
    assert [one.is_stored for one in report.outcomes] == [True, False, True, True]
    assert report.failures[0].error is ErrorCode.NETWORK_TIMEOUT
    assert service.associations == 2


def test_an_image_that_always_kills_the_association(make_instance: MakeInstance) -> None:
    """It gets as many attempts as the policy has, and costs the others nothing."""
    service = Receiver(take, abort, *([take] * 3), abort, abort)
    sent = [make_instance(InstanceNumber=number) for number in range(5)]
    stop = Waits()
    policy = RetryPolicy(attempts=3, first_delay_s=1.0)
    with receiving(service) as peer:
        report = StorageScu(retry=policy).store(peer, sent, stop=stop).unwrap()
    assert [one.is_stored for one in report.outcomes] == [True, False, True, True, True]
    assert report.outcomes[1].attempts == 3
    assert service.uids.count(sent[1].sop_instance_uid) == 3


@pytest.mark.parametrize(
    ("status", "attempts"),
    [(0xA700, 3), (0xA7FF, 3), (0x0110, 3), (0x0213, 3), (0xA900, 1), (0xC000, 1), (0x0124, 1)],
    ids="{:04X}".format,
)
def test_which_statuses_are_tried_again(
    make_instance: MakeInstance, status: int, attempts: int
) -> None:
    """Out of resources and processing failures may pass; what is wrong with the object doesn't."""
    service = Receiver(*([answer(status)] * 3))
    stop = Waits()
    policy = RetryPolicy(attempts=3, first_delay_s=2.0)
    with receiving(service) as peer:
        report = StorageScu(retry=policy).store(peer, make_instance(), stop=stop).unwrap()
    (outcome,) = report.outcomes
    assert (outcome.status, outcome.attempts) == (status, attempts)
    assert stop.waited == [2.0, 4.0][: attempts - 1]


def test_a_status_that_passes(make_instance: MakeInstance) -> None:
    """An instance that is taken at the second attempt is stored."""
    with receiving(Receiver(answer(0xA700))) as peer:
        scu = StorageScu(retry=RetryPolicy(attempts=2))
        (outcome,) = scu.store(peer, make_instance(), stop=Waits()).unwrap().outcomes
    assert (outcome.status, outcome.attempts) == (0, 2)


@pytest.mark.parametrize("parallel", [1, 3])
def test_a_peer_that_dies_for_good(make_instance: MakeInstance, parallel: int) -> None:
    """Each instance that it did not acknowledge has an outcome with the reason."""
    service = Receiver()
    sent = [make_instance(InstanceNumber=number) for number in range(30)]
    stop = Waits()
    policy = RetryPolicy(attempts=3, first_delay_s=1.0)
    scu = StorageScu(retry=policy, parallel=parallel, look_ahead=4)
    cut = threading.Event()
    with receiving(service) as peer, line_to(peer) as line:

        def die(exchange: Exchange) -> None:
            line.cut()
            cut.set()

        def answer_a_dead_line(exchange: Exchange) -> None:
            cut.wait(10)
            take(exchange)

        service.script = [take, take, take, die, *[answer_a_dead_line] * 26]
        report = scu.store(line.peer, iter(sent), stop=stop).unwrap()
    uids = [one.sop_instance_uid for one in sent]
    assert [one.sop_instance_uid for one in report.outcomes] == uids
    assert 1 <= report.stored <= 3 + parallel
    assert {one.error for one in report.failures} <= {
        ErrorCode.CONNECTION_FAILED,
        ErrorCode.ASSOCIATION_ABORTED,
    }
    assert stop.waited[:2] == [1.0, 2.0] if parallel == 1 else len(stop.waited) >= 2


def test_a_peer_that_is_not_there_is_tried_as_often_as_wanted(
    make_instance: MakeInstance,
) -> None:
    """The association is tried again, with waits; then there is one reason for everything."""
    with receiving(Receiver()) as peer:
        pass  # its port is closed now
    stop = Waits()
    scu = StorageScu(retry=RetryPolicy(attempts=4, first_delay_s=1.0))
    error = scu.store(peer, [make_instance(), make_instance()], stop=stop).failure()
    assert error.code is ErrorCode.CONNECTION_FAILED
    assert stop.waited == [1.0, 2.0, 4.0]


def test_what_is_wrong_for_good_is_not_tried_again(make_instance: MakeInstance) -> None:
    """A permanent rejection ends it at once (PS3.8 9.3.4)."""
    stop = Waits()
    scu = StorageScu(retry=RetryPolicy(attempts=4))
    with receiving(Receiver(), calling_ae_titles=frozenset(["OTHER"])) as peer:
        error = scu.store(peer, make_instance(), stop=stop).failure()
    assert error.code is ErrorCode.ASSOCIATION_REJECTED
    assert stop.waited == []


# -- stop ------------------------------------------------------------------------------------


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_program_may_end_it(make_instance: MakeInstance, parallel: int) -> None:
    """What is under way is finished; what was looked at and not sent is told as cancelled."""
    service = Receiver()
    stop = threading.Event()
    read: list[int] = []

    def stream() -> Iterator[Instance]:
        for number in range(100):
            read.append(number)
            yield make_instance()

    scu = StorageScu(look_ahead=10, parallel=parallel)
    with receiving(service) as peer:
        report = scu.store(peer, stream(), lambda _: stop.set(), stop=stop).unwrap()
    assert len(report.outcomes) == len(read) == 10
    assert report.stored == len(service.uids) <= parallel
    assert {one.error for one in report.failures} == {ErrorCode.CANCELLED}


@pytest.mark.parametrize("parallel", [1, 3])
def test_what_on_outcome_raises_is_raised(make_instance: MakeInstance, parallel: int) -> None:
    """A bug of the caller's is no outcome; it ends the sending."""

    def fail(_: StoreOutcome) -> None:
        raise KeyError("mine")

    service = Receiver()
    sent = [make_instance() for _ in range(50)]
    with receiving(service) as peer, pytest.raises(KeyError, match="mine"):
        StorageScu(parallel=parallel).store(peer, sent, fail)
    assert len(service.uids) < 50


@pytest.mark.parametrize("name", ["parallel", "window", "look_ahead"])
def test_numbers_out_of_range_are_told_when_it_is_made(name: str) -> None:
    """Nought of anything is an argument error that names the field."""
    with pytest.raises(PacsException, match=f"{name} is 0") as caught:
        StorageScu(**{name: 0})  # type: ignore[arg-type]
    assert caught.value.error.code is ErrorCode.INVALID_ARGUMENT
