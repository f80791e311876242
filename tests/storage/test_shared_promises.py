"""What processes tell each other of rows that are not written yet, and who waits for them."""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import attrs
import pytest

from pacs_sdk.encoding import Instance, write_file
from pacs_sdk.storage import Query, open_archive
from pacs_sdk.storage.index.absences import Absence
from pacs_sdk.storage.upkeep import shared_promises
from pacs_sdk.storage.upkeep.shared_promises import SharedPromises
from pacs_sdk.testing import RecordingLogger
from tests.storage.made_instances import made_instance
from tests.storage.processes import killed_processes
from tests.storage.quiet_archives import NEVER_S, found, open_quiet, rows_in


@attrs.define
class Waited:
    """Tells when somebody waits for another process."""

    begun: threading.Event = attrs.field(factory=threading.Event)

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> Waited:
        """Tell of every wait from now on, which lasts as long as it takes."""
        real = SharedPromises._await

        def watched(promises: SharedPromises, other: shared_promises._Other, promised: int) -> None:
            self.begun.set()
            real(promises, other, promised)

        monkeypatch.setattr(shared_promises, "_PATIENCE_S", NEVER_S)
        monkeypatch.setattr(SharedPromises, "_await", watched)
        return self


def test_another_opening_waits_for_what_was_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads when that is written, and finds it."""
    waited = Waited().watch(monkeypatch)
    with open_quiet(tmp_path) as one, open_quiet(tmp_path) as other, ThreadPoolExecutor() as pool:
        assert found(other) == []
        sent = made_instance()
        one.store(sent).unwrap()
        answer = pool.submit(found, other)
        assert waited.begun.wait(10)
        assert not answer.done()
        one._index.settle()
        assert answer.result(10) == [sent.sop_instance_uid]


def test_an_opening_that_began_later_is_waited_for_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who reads finds out who is there; and who has gone is not waited for."""
    waited = Waited().watch(monkeypatch)
    with open_quiet(tmp_path) as one, ThreadPoolExecutor() as pool:
        assert found(one) == []
        with open_quiet(tmp_path) as late:
            late.store(made_instance()).unwrap()
            answer = pool.submit(found, one)
            assert waited.begun.wait(10)
        assert len(answer.result(10)) == 1
        assert len(found(one)) == 1


def test_who_reads_writes_the_rows_of_a_process_that_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once; and that process may write them all the same when it goes on."""
    monkeypatch.setattr(shared_promises, "_PATIENCE_S", 0.01)
    logger = RecordingLogger()
    with open_quiet(tmp_path) as one, open_quiet(tmp_path, logger) as other:
        sent = [made_instance() for _ in range(2)]
        one.store(sent[0]).unwrap()
        assert found(other) == [sent[0].sop_instance_uid]
        assert found(other) == [sent[0].sop_instance_uid]
        assert len(logger.named("rows-written-for-another")) == 1
        one.store(sent[1]).unwrap()
        assert len(found(other)) == 2
        assert len(logger.named("rows-written-for-another")) == 2
        assert len(found(one)) == 2
        assert not logger.named("unclean-stop-recovered")
    with open_archive(tmp_path).unwrap() as again:
        assert again.recover().unwrap().is_clean
        assert len(list(again.feed.changes().unwrap())) == 2


DIES = """
import os, signal
from pacs_sdk.encoding import read_file
from pacs_sdk.storage import open_archive

def die(folder, path):
    archive = open_archive(folder).unwrap()
    archive._index._deferred._quiet_s = 3600.0
    archive.store(read_file(path).unwrap()).unwrap()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_with_a_promise(folder: Path) -> Instance:
    """Have a process store an instance and die before its row; return the instance."""
    sent = made_instance()
    write_file(sent, folder.with_name("sent.dcm")).unwrap()
    killed_processes(DIES, [(folder, folder.with_name("sent.dcm"))])
    return sent


@pytest.mark.parametrize("keep", [timedelta(0), timedelta(hours=1)], ids=["for good", "for a time"])
@pytest.mark.parametrize("is_known", [True, False], ids=["known series", "new series"])
def test_what_is_deleted_while_a_process_stands_still_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: timedelta, is_known: bool
) -> None:
    """It promised the row, another process wrote it, and somebody deleted the instance since."""
    monkeypatch.setattr(shared_promises, "_PATIENCE_S", 0.0)
    with open_quiet(tmp_path) as still, open_quiet(tmp_path) as other:
        kept = [made_instance() for _ in range(2 + is_known)]
        if is_known:
            still.store(kept[-1]).unwrap()
            still._index.settle()
        gone = made_instance()
        still.store(gone).unwrap()
        still.store(kept[0]).unwrap()
        assert gone.sop_instance_uid in found(other)
        query = Query.of("IMAGE", SOPInstanceUID=gone.sop_instance_uid).unwrap()
        assert other.delete(query, keep=keep).unwrap().instances == 1
        still.store(kept[1]).unwrap()
        still._index.settle()
        assert found(still) == found(other) == sorted(one.sop_instance_uid for one in kept)
        assert not any(one.kind.is_fault for one in still.verify().unwrap())
        assert len(list(still.deletion.deleted().unwrap())) == bool(keep)


@pytest.mark.slow
def test_who_reads_mends_what_a_dead_process_promised(tmp_path: Path) -> None:
    """It does not take a restart to find what was acknowledged."""
    logger = RecordingLogger()
    with open_quiet(tmp_path / "pacs", logger) as living:
        assert found(living) == []
        sent = killed_with_a_promise(tmp_path / "pacs")
        assert found(living) == [sent.sop_instance_uid]
        assert len(logger.named("unclean-stop-recovered")) == 1
        assert found(living) == [sent.sop_instance_uid]
        assert len(logger.named("unclean-stop-recovered")) == 1


@pytest.mark.slow
def test_several_that_read_mend_it_once(tmp_path: Path) -> None:
    """The others wait for the one that does it."""
    logger = RecordingLogger()
    with open_quiet(tmp_path / "pacs", logger) as living, ThreadPoolExecutor(4) as pool:
        sent = killed_with_a_promise(tmp_path / "pacs")
        answers = [pool.submit(found, living) for _ in range(4)]
        assert [one.result(30) for one in answers] == [[sent.sop_instance_uid]] * 4
        assert len(logger.named("unclean-stop-recovered")) == 1


def test_two_processes_that_promise_one_instance_lose_none_of_both(tmp_path: Path) -> None:
    """In different studies, within one moment: the later one is kept beside the first."""
    logger = RecordingLogger()
    with open_quiet(tmp_path) as one, open_quiet(tmp_path, logger) as other:
        sent = made_instance()
        late = made_instance(SOPInstanceUID=sent.sop_instance_uid, StudyInstanceUID="1.77")
        assert one.store(sent).unwrap().created
        stored = other.store(late).unwrap()
        assert stored.created
        one._index.settle()
        other._index.settle()
        assert logger.named("object-not-indexed")
        (beside,) = other.duplicates(sent.sop_instance_uid).unwrap()
        assert beside.storage_key == stored.storage_key
        assert found(other) == [sent.sop_instance_uid]


def test_of_two_processes_with_one_instance_the_one_that_put_it_has_created_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one waits until its row is written."""
    waited = Waited().watch(monkeypatch)
    with open_quiet(tmp_path) as one, open_quiet(tmp_path) as other, ThreadPoolExecutor() as pool:
        sent = made_instance()
        assert one.store(sent).unwrap().created
        second = pool.submit(other.store, sent)
        assert waited.begun.wait(10)
        one._index.settle()
        assert not second.result(10).unwrap().created


def test_of_two_processes_with_one_instance_the_faster_one_has_created_it(tmp_path: Path) -> None:
    """One has put the object, and the other adds its row just before that one promises it."""
    with open_quiet(tmp_path) as one, open_quiet(tmp_path) as other:
        sent = made_instance()
        absences = one._index._transactions.absences
        looked_for = absences._looked_for
        created: list[bool] = []

        def slow_look(uid: str) -> Absence | None:
            result = looked_for(uid)
            created.append(other.store(sent).unwrap().created)
            return result

        absences._looked_for = slow_look  # type: ignore[method-assign]
        created.append(one.store(sent).unwrap().created)
        assert created == [True, False]
        assert found(one) == [sent.sop_instance_uid]


def test_what_was_stored_long_before_is_found_without_waiting(tmp_path: Path) -> None:
    """Its row is there, whatever else others have promised."""
    with open_quiet(tmp_path) as one, open_quiet(tmp_path) as other:
        sent = made_instance()
        one.store(sent).unwrap()
        one._index.settle()
        one.store(made_instance()).unwrap()
        assert not other.store(sent).unwrap().created
        assert rows_in(tmp_path) == 1


def test_a_session_leaves_no_file_of_promises(tmp_path: Path) -> None:
    """Neither one that was closed nor one that was looked after."""
    with open_quiet(tmp_path / "pacs") as archive:
        archive.store(made_instance()).unwrap()
    killed_with_a_promise(tmp_path / "pacs")
    open_archive(tmp_path / "pacs").unwrap().close()
    assert list((tmp_path / "pacs/.sessions").glob("*.rows")) == []
    shutil.rmtree(tmp_path / "pacs")


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_a_closed_archive_holds_no_file(tmp_path: Path) -> None:
    """So a disk can be taken away while the object is still there, as in a notebook."""
    first, second = open_archive(tmp_path).unwrap(), open_archive(tmp_path).unwrap()
    for archive in (first, second):
        archive.store(made_instance()).unwrap()
    assert first.statistics().unwrap().instances == 2  # it looks at the promises of the other
    assert _held_below(tmp_path)
    second.close()
    first.close()
    assert _held_below(tmp_path) == set()


def _held_below(folder: Path) -> set[str]:
    maps = Path("/proc/self/maps").read_text().splitlines()
    held = {line.split(maxsplit=5)[-1] for line in maps}
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            held.add(str(one.readlink()))
    return {name for name in held if str(folder) in name}
