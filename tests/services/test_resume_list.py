"""The resume list: what a peer acknowledged is not sent again, and nothing else is left out."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.uids import new_uid
from pacs_sdk.encoding import Instance
from pacs_sdk.network import Peer, RetryPolicy
from pacs_sdk.services import StorageScu, StoreReport
from pacs_sdk.services.sending.resume_list import ResumeList
from tests.services.conftest import MakeInstance
from tests.services.receivers import Receiver, Waits, answer, line_to, receiving, take

_TEN_BYTES = MemoryBytes(bytes(10))


def _sent(peer: Peer, instances: list[Instance], resume: Path, **settings: Any) -> StoreReport:
    return StorageScu(**settings).store(peer, instances, resume=resume).unwrap()


@pytest.mark.parametrize("parallel", [1, 3])
def test_a_second_run_goes_on(make_instance: MakeInstance, tmp_path: Path, parallel: int) -> None:
    """After a connection that was cut for good, only what is missing is sent."""
    sent = [make_instance(InstanceNumber=number) for number in range(12)]
    service = Receiver()
    resume = tmp_path / "list"
    with receiving(service) as peer:
        with line_to(peer) as line:
            service.script = [take, take, take, line.cut]
            first = _sent(line.peer, sent, resume, parallel=parallel)
            told = line.peer  # the list is of this address
        assert 0 < first.stored < 12
        lines = resume.read_text().splitlines()
        assert lines[0].endswith(f"{told.ae_title} at {told.host} port {told.port}")
        acknowledged = {
            outcome.sop_instance_uid for outcome in first.outcomes if outcome.status == 0
        }
        assert {text.split("\t")[0] for text in lines[1:]} == acknowledged
        # The same peer, at its own address: the list is made to name it.
        named = f"port {told.port}", f"port {peer.port}"
        resume.write_text(resume.read_text().replace(*named))
        service.received.clear()
        second = _sent(peer, sent, resume, parallel=parallel)
    assert second.stored == 12
    assert {one.sop_instance_uid for one in second.outcomes if one.stored_before} == acknowledged
    assert set(service.uids) == {one.sop_instance_uid for one in sent} - acknowledged


def test_what_was_refused_is_sent_again_and_a_warning_is_not(
    make_instance: MakeInstance, tmp_path: Path
) -> None:
    """Only a success and a warning mean that the peer has it; the status is remembered."""
    sent = [make_instance() for _ in range(3)]
    service = Receiver(take, answer(0xB007), answer(0xA900))
    with receiving(service) as peer:
        _sent(peer, sent, tmp_path / "list")
        report = _sent(peer, sent, tmp_path / "list")
    assert [one.status for one in report.outcomes] == [0, 0xB007, 0]
    assert [one.stored_before for one in report.outcomes] == [True, True, False]
    assert [one.attempts for one in report.outcomes] == [0, 0, 1]
    assert report.size_bytes == sent[2].size


def test_other_content_is_sent_under_the_same_uid(
    make_instance: MakeInstance, tmp_path: Path
) -> None:
    """An instance that has become longer is not what the peer has."""
    first = make_instance()
    longer = make_instance(SOPInstanceUID=first.sop_instance_uid, PatientComments="changed")
    service = Receiver()
    with receiving(service) as peer:
        _sent(peer, [first], tmp_path / "list")
        report = _sent(peer, [longer], tmp_path / "list")
    assert not report.outcomes[0].stored_before
    assert len(service.uids) == 2


def test_when_all_is_there_nobody_is_called(make_instance: MakeInstance, tmp_path: Path) -> None:
    """A peer that is not even running has what it acknowledged."""
    sent = [make_instance() for _ in range(3)]
    with receiving(Receiver()) as peer:
        _sent(peer, sent, tmp_path / "list")
    report = _sent(peer, sent, tmp_path / "list")
    assert all(one.stored_before for one in report.outcomes)
    assert (report.stored, report.size_bytes) == (3, 0)


@pytest.mark.parametrize("cut", range(1, 30, 7))
def test_a_line_that_a_crash_cut_short_does_not_count(
    make_instance: MakeInstance, tmp_path: Path, cut: int
) -> None:
    """Its instance is sent again, and the list is sound after that."""
    sent = [make_instance() for _ in range(3)]
    resume = tmp_path / "list"
    service = Receiver()
    with receiving(service) as peer:
        _sent(peer, sent, resume)
        resume.write_bytes(resume.read_bytes()[:-cut])
        service.received.clear()
        assert _sent(peer, sent, resume).stored == 3
        assert service.uids == [sent[2].sop_instance_uid]
        service.received.clear()
        assert _sent(peer, sent, resume).stored == 3
        assert service.uids == []


def _another_peer(path: Path, peer: Peer) -> None:
    path.write_text(f"# pacs_sdk resume list of OTHER at {peer.host} port {peer.port}\n")


def _an_image(path: Path, _: Peer) -> None:
    path.write_bytes(bytes(128) + b"DICM" + bytes(100))


def _a_folder(path: Path, _: Peer) -> None:
    path.mkdir()


def _nowhere(path: Path, _: Peer) -> None:
    path.symlink_to(path.parent / "missing/list")


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (_another_peer, ErrorCode.INVALID_ARGUMENT, "OTHER at"),
        (_an_image, ErrorCode.INVALID_ARGUMENT, "no resume list"),
        (_a_folder, ErrorCode.FILE_READ_FAILED, "directory"),
        (_nowhere, ErrorCode.FILE_WRITE_FAILED, "cannot be written"),
    ],
)
def test_another_file_is_refused_and_kept(
    make_instance: MakeInstance,
    tmp_path: Path,
    make: Callable[[Path, Peer], None],
    code: ErrorCode,
    words: str,
) -> None:
    """Nothing is sent, and no byte of the file changes."""
    service = Receiver()
    path = tmp_path / "list"
    with receiving(service) as peer:
        make(path, peer)
        before = path.read_bytes() if path.is_file() else b""
        error = StorageScu().store(peer, make_instance(), resume=path).failure()
    assert error.code is code
    assert words in error.message
    assert service.uids == []
    assert (path.read_bytes() if path.is_file() else b"") == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_list_that_cannot_be_written_costs_no_image(
    make_instance: MakeInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything is sent; the report says that the list is not complete, and why."""
    service = Receiver()
    path = tmp_path / "list"
    with receiving(service) as peer:
        _sent(peer, [make_instance()], path)
        real = Path.open

        def opened(self: Path, mode: str = "r", **more: Any) -> Any:
            place = Path("/dev/full") if (self, mode) == (path, "ab") else self
            return real(place, mode, **more)

        monkeypatch.setattr(Path, "open", opened)
        report = _sent(peer, [make_instance() for _ in range(3)], path)
    assert report.stored == 3
    assert report.resume_error is not None
    assert report.resume_error.code is ErrorCode.FILE_WRITE_FAILED
    assert os.strerror(28) in report.resume_error.message


def test_an_attempt_that_succeeds_later_is_recorded_once(
    make_instance: MakeInstance, tmp_path: Path
) -> None:
    """What was refused first and taken then stands in the list with its last status."""
    path = tmp_path / "list"
    with receiving(Receiver(answer(0xA700))) as peer:
        scu = attrs.evolve(StorageScu(), retry=RetryPolicy(attempts=2))
        scu.store(peer, make_instance(), resume=path, stop=Waits()).unwrap()
    (line,) = path.read_text().splitlines()[1:]
    assert line.endswith("\t0000")


_LINES = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.tuples(
            st.sampled_from(["1.2.3", "1.2.4", "x", "1." * 40]),
            st.sampled_from(["10", "11", "-1", "9" * 5000, "²", ""]),
            st.sampled_from(["0000", "B007", "A700", "FF00", "-1", "zz", "1_0000", ""]),
        ).map("\t".join),
    ),
    max_size=8,
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=_LINES, end=st.sampled_from(["\n", ""]))
def test_whatever_the_lines_say_only_acknowledged_instances_are_known(
    tmp_path: Path, lines: list[str], end: str
) -> None:
    """Lines that are none are passed over; a failure is nothing that was acknowledged."""
    path = tmp_path / f"{new_uid()}.txt"
    peer = Peer("127.0.0.1", 104, "PEER")
    ResumeList(path, peer).close()
    path.write_bytes(path.read_bytes() + ("\n".join(lines) + end).encode("utf-8", "replace"))
    with ResumeList(path, peer) as known:
        status = known.status_of(Instance("1.2", "1.2.3", "1.2.840.10008.1.2", _TEN_BYTES))
    assert status in (None, 0x0000, 0xB007)
    if status is not None:
        assert any(line.startswith("1.2.3\t10\t") for line in lines)
