"""Small instances that several threads store at the same moment: one thread does it for all."""

from __future__ import annotations

import errno
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import attrs
import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import PacsResult, raised
from pacs_sdk.encoding import Instance
from pacs_sdk.storage import (
    Archive,
    DuplicatePolicy,
    Durability,
    FileStorage,
    Query,
    StoredInstance,
    ingest,
    open_archive,
)
from pacs_sdk.storage.objects import small_objects
from pacs_sdk.storage.objects.backend import NewObject
from pacs_sdk.storage.objects.journal_records import live_records
from tests.storage.journals import before_each_flush
from tests.storage.made_instances import made_instance


@attrs.define
class Together:
    """An archive whose first small object waits until all others have come."""

    archive: Archive
    pool: ThreadPoolExecutor
    groups: list[int] = attrs.field(factory=list)
    begun: threading.Event = attrs.field(factory=threading.Event)
    go_on: threading.Event = attrs.field(factory=threading.Event)

    @property
    def storage(self) -> FileStorage:
        """The archive's storage."""
        backend = self.archive._backend
        assert isinstance(backend, FileStorage)
        return backend

    def store(
        self,
        instances: Sequence[Instance],
        before: Callable[[], None] = lambda: None,
        interrupted: list[BaseException] | None = None,
    ) -> list[PacsResult[StoredInstance]]:
        """Store the first, and all others together, each by a thread of its own.

        Args:
            instances: What is stored.
            before: Called when the others wait, before they are stored.
            interrupted: Takes what ended threads, which have no result then.
        """
        results: list[Future[PacsResult[StoredInstance]]] = []
        small = self.archive._ingest._small
        assert small is not None
        for number, instance in enumerate(instances):
            results.append(self.pool.submit(self.archive.store, instance))
            if not number:
                assert self.begun.wait(30)
            while len(small._group._queue) < number:
                assert not results[-1].done()
        before()
        self.go_on.set()
        assert not wait(results, 30).not_done
        ended = [one for one in results if one.exception() is not None]
        if interrupted is not None:
            interrupted.extend(filter(None, (one.exception() for one in ended)))
            results = [one for one in results if one not in ended]
        return [result.result() for result in results]

    def found(self) -> list[str]:
        """List the UIDs that queries find, sorted."""
        matches = raised(self.archive.find(raised(Query.of("IMAGE"))))
        return sorted(str(one.get("SOPInstanceUID")) for one in matches)


@pytest.fixture(params=list(Durability))
def together(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Together]:
    """Give an archive that has stored enough to have a journal, if it is durable."""
    with (
        raised(open_archive(tmp_path, durability=request.param)) as archive,
        ThreadPoolExecutor(8) as pool,
    ):
        for _ in range(20):
            raised(archive.store(made_instance()))
        numbers: dict[bytes, int] = {}  # so that no two wait for each other by chance
        monkeypatch.setattr(
            ingest,
            "zlib",
            SimpleNamespace(crc32=lambda uid: numbers.setdefault(uid, len(numbers))),
        )
        made = Together(archive, pool)
        journal = made.storage._journals._own
        if journal is not None and journal._work is not None:
            journal._work.join()  # which begins it
            if journal._current is None:
                pytest.skip("this file system is not synced as a whole")
        real = made.storage.put_small

        def put_small(objects: Sequence[NewObject]) -> Sequence[bool]:
            made.groups.append(len(objects))
            made.begun.set()
            assert made.go_on.wait(30)
            return real(objects)

        monkeypatch.setattr(made.storage, "put_small", put_small)
        yield made
        made.go_on.set()


def test_those_who_come_meanwhile_are_stored_together(together: Together) -> None:
    """Each is answered for itself; all are found, and are what was given."""
    before = together.found()
    instances = [made_instance(InstanceNumber=number) for number in range(6)]
    answers = together.store(instances)
    assert together.groups == [1, 5]
    assert [raised(one).identity.sop_instance_uid for one in answers] == [
        one.sop_instance_uid for one in instances
    ]
    assert all(raised(one).created for one in answers)
    assert together.found() == sorted(before + [one.sop_instance_uid for one in instances])
    for one in instances:
        kept = raised(together.archive.open(one.sop_instance_uid))
        assert bytes(kept.encoded.view()) == bytes(one.encoded.view())


def test_what_one_of_them_has_wrong_the_others_do_not_notice(together: Together) -> None:
    """Another content of a UID is refused to whoever brought it; the same again is a success."""
    kept = made_instance(InstanceNumber=1)
    together.go_on.set()
    raised(together.archive.store(kept))
    other = made_instance(SOPInstanceUID=kept.sop_instance_uid, InstanceNumber=2)
    together.begun.clear()
    together.go_on.clear()
    together.groups.clear()
    first, refused, new = together.store([made_instance(), other, made_instance()])
    assert together.groups == [1, 2]  # what is refused is not put again
    assert refused.failure().code is ErrorCode.DUPLICATE_OBJECT
    assert raised(first).created
    assert raised(new).created
    assert not raised(together.archive.store(kept)).created


def test_a_disk_that_is_full_is_told_to_each(
    together: Together, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of them is left, and they can be stored when there is room."""

    def fail(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = together.found()
    instances = [made_instance() for _ in range(4)]
    with monkeypatch.context() as patch:
        answers = together.store(instances, lambda: patch.setattr(os, "link", fail))
    assert {one.failure().code for one in answers} == {ErrorCode.STORAGE_WRITE_FAILED}
    assert all("full" in one.failure().message for one in answers)
    assert together.found() == before
    assert [path for path in together.storage.root.rglob("*.part") if path.is_file()] == []
    assert all(raised(together.archive.store(one)).created for one in instances)


@pytest.mark.parametrize("answer", [False, PacsException(ErrorCode.INDEX_FAILED, "busy")])
def test_an_index_that_promises_nothing_writes_the_rows(
    together: Together, monkeypatch: pytest.MonkeyPatch, answer: bool | PacsException
) -> None:
    """Each has its row when it is answered; where the index fails, each is told so."""

    def promise(*_: object) -> bool:
        if isinstance(answer, PacsException):
            raise answer
        return answer

    instances = [made_instance() for _ in range(4)]
    with monkeypatch.context() as patch:
        index = together.archive._index
        answers = together.store(instances, lambda: patch.setattr(index, "promise", promise))
    if answer:
        assert {one.failure().code for one in answers} == {ErrorCode.INDEX_FAILED}
        answers = [together.archive.store(one) for one in instances]
    assert all(raised(one).created for one in answers)
    assert together.groups[:2] == [1, 3]
    assert set(together.found()) >= {one.sop_instance_uid for one in instances}


def test_what_another_process_has_found_meanwhile_is_not_promised(
    together: Together, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be one of these: so those that were being put have their rows written at once."""
    index = together.archive._index
    assert index._deferred is not None
    find, promise, promised = index._deferred._board.find, index.promise, list[bool]()

    def noted(*arguments: Any) -> bool:
        promised.append(promise(*arguments))
        return promised[-1]

    monkeypatch.setattr(index, "promise", noted)
    answers = together.store([made_instance() for _ in range(4)], find)
    assert all(raised(one).created for one in answers)
    assert promised == [False, False, True, True, True]  # the first asked once more


def test_what_is_taken_is_not_flushed(together: Together, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes to the journal that cannot get its name."""
    flushed: list[None] = []
    before_each_flush(monkeypatch, lambda: flushed.append(None))
    new = [NewObject("1.2/1.2.3/1.2.3.0.dcm", [b"x"])]
    together.go_on.set()
    for written, flushes in ((True, together.storage._journals.are_needed), (False, 0)):
        flushed.clear()
        assert together.storage.put_small(new) == [written]
        assert len(flushed) == flushes


def test_files_are_written_with_the_journal_and_named_after_it(
    together: Together, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has its name is on the disk, or in a journal that is."""
    together.go_on.set()
    root = together.storage.root
    seen: list[tuple[int, int]] = []

    def look() -> None:
        seen.append((len(list(root.glob(".spool/*/*.part"))), len(list(root.glob("1/2/*")))))

    before_each_flush(monkeypatch, look)
    new = [NewObject(f"1/2/{number}", [b"x"]) for number in range(3)]
    assert together.storage.put_small(new) == [True] * 3
    assert seen == ([(3, 0)] if together.storage._journals.are_needed else [])
    assert list(root.glob(".spool/*/*.part")) == []
    assert len(list(root.glob("1/2/*"))) == 3


@pytest.mark.parametrize("failing", ["journal", "spool"])
def test_what_cannot_be_written_together_leaves_nothing(
    together: Together, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """No file without a name, no record; whoever brought an object puts it alone."""
    together.go_on.set()
    journal = together.storage._journals._own
    if journal is None and failing == "journal":
        return  # nothing is flushed

    def fail(descriptor: int | None = None, *_: object) -> NoReturn:
        if descriptor is not None:
            os.write(descriptor, b"a part")
            os.close(descriptor)
        raise OSError(errno.ENOSPC, "")

    with monkeypatch.context() as patch:
        if failing == "journal":
            before_each_flush(patch, fail)
        else:
            patch.setattr(small_objects, "write_and_close", fail)
        new = [NewObject(f"1/2/{number}", [b"x"]) for number in range(3)]
        assert together.storage.put_small(new) == [False] * 3
    assert list(together.storage.root.glob(".spool/*/*.part")) == []
    assert list(together.storage.root.glob("1/2/*")) == []
    for segment in () if journal is None else journal._segments:
        assert segment.unnamed == 0
        with segment.path.open("rb") as file:
            keys = {one.key for one in live_records(file.fileno())}
        assert failing == "journal" or keys.isdisjoint(one.key for one in new)
    assert [raised(together.storage.put(one.key, one.parts)).created for one in new] == [True] * 3


def test_a_thread_that_is_interrupted_leaves_the_others_to_themselves(
    together: Together, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C reaches one thread, which was storing for others: each of them stores its own."""
    instances = [made_instance() for _ in range(4)]
    real = together.storage._small.put

    def interrupted(objects: Sequence[NewObject]) -> list[bool]:
        if len(objects) > 1:
            raise KeyboardInterrupt
        return real(objects)

    monkeypatch.setattr(together.storage._small, "put", interrupted)
    leaders: list[BaseException] = []
    answers = together.store(instances, interrupted=leaders)
    assert together.groups == [1, 3]
    assert list(map(type, leaders)) == [KeyboardInterrupt]
    assert [raised(one).created for one in answers] == [True, True, True]
    assert sum(raised(together.archive.store(one)).created for one in instances) == 1


def test_an_interrupted_put_holds_no_place_in_the_journal(
    together: Together, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment waits until all of its objects have their names, or will not have them."""

    def interrupted(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    together.go_on.set()
    journal = together.storage._journals._own
    with monkeypatch.context() as patch:
        patch.setattr(together.storage._names, "publish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            together.storage.put_small([NewObject(f"1/2/{number}", [b"x"]) for number in range(3)])
    assert journal is None or not any(one.unnamed for one in journal._segments)
    assert [path for path in together.storage.root.rglob("*.part") if path.is_file()] == []


def test_company_is_waited_for_after_a_group_that_took_long(
    together: Together, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk that takes long to flush."""
    small = together.archive._ingest._small
    assert small is not None
    waits: list[float] = []
    monkeypatch.setattr(small._group, "_timer", itertools.count().__next__)
    monkeypatch.setattr(small._group, "_sleep", waits.append)
    together.store([made_instance() for _ in range(4)])
    assert waits == []
    raised(together.archive.store(made_instance()))
    assert len(waits) == 1


def test_what_replaces_is_stored_alone(tmp_path: Path) -> None:
    """Its row has to follow whatever was there before."""
    first = made_instance(InstanceNumber=1)
    other = made_instance(SOPInstanceUID=first.sop_instance_uid, InstanceNumber=2)
    with raised(open_archive(tmp_path, duplicates=DuplicatePolicy.REPLACE)) as archive:
        assert archive._ingest._small is None
        assert raised(archive.store(first)).created
        assert raised(archive.store(other)).created
        kept = raised(archive.open(first.sop_instance_uid))
        assert bytes(kept.encoded.view()) == bytes(other.encoded.view())
