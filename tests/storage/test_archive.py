"""The archive: what it acknowledges is there, can be found, and comes back unchanged."""

from __future__ import annotations

import io
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from returns.result import Failure

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.events import InProcessEventBus, InstanceStored
from pacs_sdk.core.results import PacsResult
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    INDEX_TAGS,
    Instance,
    TransferSyntax,
    encode_dataset,
    read_file,
    transfer_syntax,
    write_file,
)
from pacs_sdk.storage import (
    AddOutcome,
    Archive,
    DuplicatePolicy,
    Durability,
    IndexDatabase,
    IndexEntry,
    Query,
    open_archive,
)
from pacs_sdk.testing import MemoryStorage, RecordingLogger
from tests.storage.databases import Database, address_of
from tests.storage.entries import open_index
from tests.storage.made_instances import CT, encoded_instance, made_instance
from tests.storage.processes import killed_processes, run_together

REJECT, REPLACE, IGNORE, KEEP_BOTH = DuplicatePolicy
DEFLATED = transfer_syntax("DeflatedExplicitVRLittleEndian").unwrap()


class Parts:
    """An archive in memory and a scratch folder, with access to what it is made of."""

    def __init__(self, folder: Path, duplicates: DuplicatePolicy = REJECT) -> None:
        self.logger = RecordingLogger()
        self.backend = MemoryStorage()
        self.bus = InProcessEventBus(self.logger)
        self.events: list[InstanceStored] = []
        self.bus.subscribe(InstanceStored, self.events.append)
        self.index = open_index(folder, self.logger)
        self.archive = self.with_policy(duplicates)

    def with_policy(self, duplicates: DuplicatePolicy) -> Archive:
        """Give an archive over the same parts with another policy."""
        return Archive(self.backend, self.index, self.bus, self.logger, duplicates=duplicates)

    @property
    def keys(self) -> list[str]:
        """The keys of all objects."""
        return [one.key for one in self.backend.list()]

    def numbers(self) -> tuple[int, int, int, int]:
        """Count patients, studies, series and instances in the index."""
        found = self.archive.statistics().unwrap()
        return found.patients, found.studies, found.series, found.instances


@pytest.fixture
def parts(tmp_path: Path, database: Database) -> Iterator[Parts]:
    """Give an empty archive."""
    made = Parts(tmp_path)
    yield made
    made.archive.close()


def failure(result: PacsResult[Any]) -> PacsError:
    """Return the error of a failure."""
    assert isinstance(result, Failure), result
    error: PacsError = result.failure()
    return error


def values(archive: Archive, level: str, keyword: str, **keys: Any) -> list[str]:
    """Search and take one attribute of each match."""
    matches = archive.find(Query.of(level, **keys).unwrap()).unwrap()
    return [match.get(keyword) for match in matches]


def content(instance: Instance) -> bytes:
    """Read an instance's data set."""
    return bytes(instance.encoded.view())


# -- what comes back -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "syntax",
    [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, DEFLATED],
    ids=lambda syntax: str(syntax.keyword),
)
def test_an_instance_comes_back_byte_for_byte(parts: Parts, syntax: TransferSyntax) -> None:
    """The data set is not changed in any transfer syntax, and its header can be read."""
    sent = made_instance(syntax, PatientComments="x" * 60_000, ImageComments="y" * 60_000)
    stored = parts.archive.store(sent).unwrap()
    assert stored.created
    assert stored.identity.sop_instance_uid == sent.sop_instance_uid
    opened = parts.archive.open(sent.sop_instance_uid).unwrap()
    assert (opened.sop_class_uid, opened.transfer_syntax_uid) == (CT, syntax.uid)
    assert content(opened) == content(sent)
    assert opened.header().unwrap().text("PatientName") == "Doe^John"


def test_an_object_is_a_dicom_file(parts: Parts) -> None:
    """Another program reads the object as the Part 10 file that it is."""
    sent = made_instance(InstanceNumber=7)
    stored = parts.archive.store(sent).unwrap()
    data = bytes(parts.backend.open(stored.storage_key).unwrap().view())
    assert stored.size_bytes == len(data)
    read = pydicom.dcmread(io.BytesIO(data))
    assert read.file_meta.MediaStorageSOPInstanceUID == sent.sop_instance_uid
    assert (read.InstanceNumber, read.PatientName) == (7, "Doe^John")


def test_everything_is_there_after_a_restart(tmp_path: Path, database: Database) -> None:
    """An archive in a folder that is opened again finds and opens what was stored."""
    sent = made_instance()
    with open_archive(tmp_path / "pacs", database_url=database.url).unwrap() as archive:
        archive.store(sent).unwrap()
    with open_archive(tmp_path / "pacs", database_url=database.url).unwrap() as archive:
        assert values(archive, "STUDY", "PatientName") == ["Doe^John"]
        assert content(archive.open(sent.sop_instance_uid).unwrap()) == content(sent)
        assert not archive.store(sent).unwrap().created
    path = tmp_path / "pacs/objects/1.2/1.2.3" / f"{sent.sop_instance_uid}.dcm"
    assert content(read_file(path).unwrap()) == content(sent)


def test_instances_come_in_reading_order(parts: Parts) -> None:
    """Below a study: by series number, then instance number, then UID."""
    for series, number, uid in (
        ("2", 1, "9.4"),
        ("1", 10, "9.3"),
        ("1", 9, "9.2"),
        ("1", 9, "9.1"),
    ):
        parts.archive.store(
            made_instance(
                SeriesInstanceUID=f"1.2.{series}",
                SeriesNumber=series,
                InstanceNumber=number,
                SOPInstanceUID=uid,
            )
        ).unwrap()
    below = parts.archive.instances(Query.of("STUDY", StudyInstanceUID="1.2").unwrap()).unwrap()
    assert [one.sop_instance_uid for one in below] == ["9.1", "9.2", "9.3", "9.4"]


@pytest.mark.parametrize("uid", ["9.9.9", "", "no uid", "1.2/../3", "\ud800", "1" * 1000])
def test_what_is_not_stored_is_not_found(parts: Parts, uid: str) -> None:
    """Whatever is asked for, the answer is OBJECT_NOT_FOUND."""
    parts.archive.store(made_instance()).unwrap()
    assert failure(parts.archive.open(uid)).code is ErrorCode.OBJECT_NOT_FOUND


# -- duplicates --------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", DuplicatePolicy)
def test_the_same_instance_again_changes_nothing(parts: Parts, policy: DuplicatePolicy) -> None:
    """A resend succeeds under every policy, is not new, and is not announced again."""
    archive = parts.with_policy(policy)
    sent = made_instance()
    first = archive.store(sent).unwrap()
    again = archive.store(sent).unwrap()
    assert (first.created, again.created) == (True, False)
    assert (again.storage_key, again.size_bytes) == (first.storage_key, first.size_bytes)
    assert len(parts.events) == 1
    assert parts.numbers() == (1, 1, 1, 1)


OTHER_PLACES = [
    {"StudyInstanceUID": "1.8", "SeriesInstanceUID": "1.8.3"},
    {"SeriesInstanceUID": "1.2.8"},
]


def test_reject_refuses_other_content(parts: Parts) -> None:
    """The first instance stays, in the objects and in the index, and the sender is told."""
    first = made_instance(InstanceNumber=1)
    other = made_instance(SOPInstanceUID=first.sop_instance_uid, InstanceNumber=2)
    parts.archive.store(first).unwrap()
    assert failure(parts.archive.store(other)).code is ErrorCode.DUPLICATE_OBJECT
    assert content(parts.archive.open(first.sop_instance_uid).unwrap()) == content(first)
    assert values(parts.archive, "IMAGE", "InstanceNumber") == ["1"]
    assert len(parts.events) == 1


def test_ignore_keeps_the_first_and_succeeds(parts: Parts) -> None:
    """The index goes on describing what is stored, not what was dropped."""
    archive = parts.with_policy(IGNORE)
    first = made_instance(InstanceNumber=1)
    other = made_instance(
        IMPLICIT_VR_LITTLE_ENDIAN, SOPInstanceUID=first.sop_instance_uid, InstanceNumber=2
    )
    archive.store(first).unwrap()
    assert not archive.store(other).unwrap().created
    opened = archive.open(first.sop_instance_uid).unwrap()
    assert opened.transfer_syntax_uid == first.transfer_syntax_uid
    assert content(opened) == content(first)
    assert values(archive, "IMAGE", "InstanceNumber") == ["1"]
    assert len(parts.events) == 1


def test_replace_keeps_the_last(parts: Parts) -> None:
    """Object and index describe the new instance, and it is announced like the first."""
    archive = parts.with_policy(REPLACE)
    first = made_instance(InstanceNumber=1)
    other = made_instance(
        IMPLICIT_VR_LITTLE_ENDIAN, SOPInstanceUID=first.sop_instance_uid, InstanceNumber=2
    )
    archive.store(first).unwrap()
    assert archive.store(other).unwrap().created
    opened = archive.open(first.sop_instance_uid).unwrap()
    assert opened.transfer_syntax_uid == other.transfer_syntax_uid
    assert content(opened) == content(other)
    assert values(archive, "IMAGE", "InstanceNumber") == ["2"]
    assert parts.numbers() == (1, 1, 1, 1)
    assert len(parts.events) == 2
    assert parts.events[1].size_bytes == parts.backend.stat(parts.keys[0]).unwrap().size_bytes


@pytest.mark.parametrize("place", OTHER_PLACES, ids=["study", "series"])
@pytest.mark.parametrize("policy", [REJECT, IGNORE])
def test_an_instance_does_not_turn_up_in_two_places(
    parts: Parts, policy: DuplicatePolicy, place: dict[str, str]
) -> None:
    """A stored UID under another study or series is refused, and nothing of it is left."""
    archive = parts.with_policy(policy)
    first = made_instance()
    archive.store(first).unwrap()
    moved = made_instance(SOPInstanceUID=first.sop_instance_uid, **place)
    assert failure(archive.store(moved)).code is ErrorCode.DUPLICATE_OBJECT
    assert parts.keys == [f"1.2/1.2.3/{first.sop_instance_uid}.dcm"]
    assert parts.numbers() == (1, 1, 1, 1)
    assert content(archive.open(first.sop_instance_uid).unwrap()) == content(first)


@pytest.mark.parametrize("place", OTHER_PLACES, ids=["study", "series"])
def test_replace_moves_an_instance(parts: Parts, place: dict[str, str]) -> None:
    """Under REPLACE the old object goes, and with it what is empty without it."""
    archive = parts.with_policy(REPLACE)
    first = made_instance()
    archive.store(first).unwrap()
    moved = made_instance(SOPInstanceUID=first.sop_instance_uid, **place)
    stored = archive.store(moved).unwrap()
    assert parts.keys == [stored.storage_key]
    assert parts.numbers() == (1, 1, 1, 1)
    assert values(archive, "SERIES", "SeriesInstanceUID") == [place["SeriesInstanceUID"]]
    archive.store(first).unwrap()  # and back again
    assert parts.keys == [f"1.2/1.2.3/{first.sop_instance_uid}.dcm"]
    assert content(archive.open(first.sop_instance_uid).unwrap()) == content(first)


def test_moving_to_and_fro_at_once_never_loses_the_instance(parts: Parts) -> None:
    """Whoever comes last wins; there is always exactly one object, and it can be opened."""
    archive = parts.with_policy(REPLACE)
    here = made_instance()
    there = made_instance(SOPInstanceUID=here.sop_instance_uid, **OTHER_PLACES[0])
    for _ in range(10):
        together([lambda: archive.store(here), lambda: archive.store(there)] * 2)
        assert len(parts.keys) == 1
        opened = archive.open(here.sop_instance_uid).unwrap()
        assert content(opened) in (content(here), content(there))


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize(
    ("uid", "code"),
    [
        (None, ErrorCode.MISSING_REQUIRED_VALUE),
        ("", ErrorCode.MISSING_REQUIRED_VALUE),
        ("../../etc", ErrorCode.INVALID_UID),
        ("1.2\\1.3", ErrorCode.INVALID_UID),
        ("1." * 150 + "1", ErrorCode.INVALID_UID),
        ("1.2.é", ErrorCode.INVALID_UID),
    ],
)
def test_an_instance_without_its_place_is_refused(
    parts: Parts, keyword: str, uid: str | None, code: ErrorCode
) -> None:
    """A UID that is missing or none is named in words, and nothing is stored."""
    error = failure(parts.archive.store(made_instance(**{keyword: uid})))
    assert error.code is code
    assert {"StudyInstanceUID": "Study", "SeriesInstanceUID": "Series"}[keyword] in error.message
    assert parts.keys == []


def test_an_instance_that_is_another_than_announced_is_refused(parts: Parts) -> None:
    """SOP Class and SOP Instance UID of the data set have to be the announced ones."""
    one = made_instance()
    for liar in (
        Instance(CT, "9.9.9", one.transfer_syntax_uid, one.encoded),
        Instance("9.9", one.sop_instance_uid, one.transfer_syntax_uid, one.encoded),
    ):
        error = failure(parts.archive.store(liar))
        assert error.code is ErrorCode.STORE_DATASET_MISMATCH
        assert error.code.dimse_status == 0xA900
    assert parts.keys == []
    assert parts.numbers() == (0, 0, 0, 0)


def test_a_full_disk_is_told_and_nothing_is_indexed(parts: Parts) -> None:
    """A put that fails is the store's failure; the archive doesn't know the instance."""
    parts.backend.fail_with(ErrorCode.STORAGE_WRITE_FAILED, "the disk is full")
    sent = made_instance()
    error = failure(parts.archive.store(sent))
    assert (error.code, error.message) == (ErrorCode.STORAGE_WRITE_FAILED, "the disk is full")
    parts.backend.fail_with(None)
    assert parts.numbers() == (0, 0, 0, 0)
    assert failure(parts.archive.open(sent.sop_instance_uid)).code is ErrorCode.OBJECT_NOT_FOUND
    assert parts.archive.store(sent).unwrap().created
    assert len(parts.events) == 1


# -- events ------------------------------------------------------------------------------------


def test_an_instance_is_announced_when_it_can_be_found(parts: Parts) -> None:
    """Whoever hears of an instance can open it at once."""
    heard: list[tuple[InstanceStored, bytes]] = []

    def hear(event: InstanceStored) -> None:
        opened = parts.archive.open(event.sop_instance_uid).unwrap()
        heard.append((event, content(opened)))

    parts.bus.subscribe(InstanceStored, hear)
    sent = made_instance()
    stored = parts.archive.store(sent).unwrap()
    event = InstanceStored("1.2", "1.2.3", sent.sop_instance_uid, CT, stored.size_bytes)
    assert heard == [(event, content(sent))]


def test_a_listener_that_fails_does_not_fail_the_store(parts: Parts) -> None:
    """What is stored is stored, whatever others make of it."""

    def hear(_: InstanceStored) -> None:
        raise RuntimeError("not my day")

    parts.bus.subscribe(InstanceStored, hear)
    assert parts.archive.store(made_instance()).unwrap().created
    assert parts.logger.named("event-handler-failed")


# -- crashes and faults ------------------------------------------------------------------------


class UnreliableIndex(IndexDatabase):
    """Fails to add as often as it is told to."""

    failures = 0

    def add(
        self, entry: IndexEntry, *, replace: bool = False, found: bool = False
    ) -> PacsResult[AddOutcome]:
        """Add, or fail."""
        if self.failures:
            self.failures -= 1
            return Failure(PacsError(ErrorCode.INDEX_FAILED, "the database is ill"))
        return super().add(entry, replace=replace, found=found)


@pytest.mark.parametrize("policy", DuplicatePolicy)
def test_a_resend_heals_what_could_not_be_indexed(
    tmp_path: Path, parts: Parts, policy: DuplicatePolicy
) -> None:
    """The object waits for its row; the second attempt adds it, and announces the instance."""
    other = tmp_path / "other"
    other.mkdir()
    index = UnreliableIndex(address_of(other))
    archive = Archive(parts.backend, index, parts.bus, parts.logger, duplicates=policy)
    sent = made_instance()
    index.failures = 1
    error = failure(archive.store(sent))
    assert (error.code, error.code.dimse_status) == (ErrorCode.INDEX_FAILED, 0xA700)
    assert parts.logger.named("object-not-indexed")
    assert (len(parts.keys), parts.events) == (1, [])
    assert archive.store(sent).unwrap().created
    assert content(archive.open(sent.sop_instance_uid).unwrap()) == content(sent)
    assert len(parts.events) == 1
    archive.close()


DIES_BEFORE_THE_ROW = """
import os, pathlib, signal
from pacs_sdk.encoding import read_file
from pacs_sdk.storage import IndexDatabase, open_archive

def die(folder, path):
    archive = open_archive(folder).unwrap()
    IndexDatabase.promise = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
    archive.store(read_file(path).unwrap())
"""


@pytest.fixture(scope="module")
def after_a_crash(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Instance]:
    """Leave an object without its row, as a process does that is killed at that moment."""
    folder = tmp_path_factory.mktemp("crash")
    sent = made_instance(InstanceNumber=1)
    write_file(sent, folder / "sent.dcm").unwrap()
    killed_processes(DIES_BEFORE_THE_ROW, [(folder / "pacs", folder / "sent.dcm")])
    assert len(list((folder / "pacs/objects").rglob("*.dcm"))) == 1
    return folder / "pacs", sent


@pytest.fixture
def leftover(tmp_path: Path, after_a_crash: tuple[Path, Instance]) -> Instance:
    """Copy what a killed process left to the test's folder, and tell what it stored."""
    shutil.copytree(after_a_crash[0], tmp_path / "pacs")
    shutil.rmtree(tmp_path / "pacs/.sessions")  # so that recovery doesn't know of it
    return after_a_crash[1]


def test_what_a_killed_process_left_is_healed_by_a_resend(
    tmp_path: Path, leftover: Instance
) -> None:
    """Nobody was promised the instance; sending it again makes it whole."""
    with open_archive(tmp_path / "pacs").unwrap() as archive:
        assert archive.statistics().unwrap().instances == 0
        assert archive.store(leftover).unwrap().created
        assert values(archive, "IMAGE", "InstanceNumber") == ["1"]
        assert content(archive.open(leftover.sop_instance_uid).unwrap()) == content(leftover)


@pytest.mark.parametrize("policy", DuplicatePolicy)
def test_what_a_killed_process_left_is_not_in_the_way_for_ever(
    tmp_path: Path, leftover: Instance, policy: DuplicatePolicy
) -> None:
    """Other content under the same UID meets the policy, and either way one can be found."""
    other = made_instance(SOPInstanceUID=leftover.sop_instance_uid, InstanceNumber=2)
    heard: list[InstanceStored] = []
    bus = InProcessEventBus()
    bus.subscribe(InstanceStored, heard.append)
    with open_archive(tmp_path / "pacs", duplicates=policy, bus=bus).unwrap() as archive:
        result = archive.store(other)
        assert isinstance(result, Failure) is (policy is REJECT)
        kept = other if policy is REPLACE else leftover
        assert content(archive.open(kept.sop_instance_uid).unwrap()) == content(kept)
        expected = "2" if policy is REPLACE else "1"
        assert values(archive, "IMAGE", "InstanceNumber") == [expected]
    assert len(heard) == 1


@pytest.mark.parametrize("damage", ["empty", "zeros", "cut"])
@pytest.mark.parametrize("policy", DuplicatePolicy)
def test_a_damaged_object_is_replaced_by_a_resend(
    parts: Parts, policy: DuplicatePolicy, damage: str
) -> None:
    """What a power failure left of an object is no reason to refuse the whole one."""
    archive = parts.with_policy(policy)
    sent = made_instance()
    key = archive.store(sent).unwrap().storage_key
    whole = bytes(parts.backend.open(key).unwrap().view())
    left = {"empty": b"", "zeros": bytes(len(whole)), "cut": whole[:-5]}[damage]
    parts.backend.put(key, [left], policy=REPLACE).unwrap()
    assert archive.store(sent).unwrap().created
    assert content(archive.open(sent.sop_instance_uid).unwrap()) == content(sent)
    assert parts.numbers() == (1, 1, 1, 1)


@pytest.mark.parametrize("policy", [REJECT, IGNORE])
def test_what_was_stored_incomplete_is_not_damaged(parts: Parts, policy: DuplicatePolicy) -> None:
    """An instance that came cut short was acknowledged like that, and keeps its place."""
    archive = parts.with_policy(policy)
    whole = made_instance(EncapsulatedDocument=b"x" * 1000)
    cut = attrs.evolve(whole, encoded=whole.encoded.slice(0, whole.size - 100))
    archive.store(cut).unwrap()
    for again in (cut, whole):
        assert isinstance(archive.store(again), Failure) is (again is whole and policy is REJECT)
        opened = archive.open(whole.sop_instance_uid).unwrap()
        assert content(opened) == content(cut)
    assert len(parts.events) == 1


def test_an_object_that_vanished_is_not_found(parts: Parts) -> None:
    """A row whose object is gone is OBJECT_NOT_FOUND when it is opened."""
    sent = made_instance()
    key = parts.archive.store(sent).unwrap().storage_key
    parts.backend.delete(key).unwrap()
    assert failure(parts.archive.open(sent.sop_instance_uid)).code is ErrorCode.OBJECT_NOT_FOUND
    parts.archive.store(sent).unwrap()
    assert content(parts.archive.open(sent.sop_instance_uid).unwrap()) == content(sent)


def test_one_bad_object_does_not_stop_the_others(parts: Parts) -> None:
    """All instances of a study come; the one without an object fails when it is read."""
    sent = [made_instance(InstanceNumber=number) for number in range(3)]
    keys = [parts.archive.store(one).unwrap().storage_key for one in sent]
    parts.backend.delete(keys[1]).unwrap()
    came = list(parts.archive.instances(Query.of("STUDY").unwrap()).unwrap())
    assert [one.sop_instance_uid for one in came] == [one.sop_instance_uid for one in sent]
    assert [content(came[0]), content(came[2])] == [content(sent[0]), content(sent[2])]
    with pytest.raises(PacsException) as caught:
        came[1].encoded.view()
    assert caught.value.error.code is ErrorCode.OBJECT_NOT_FOUND
    assert came[1].size == sent[1].size
    assert failure(came[1].header()).code is ErrorCode.OBJECT_NOT_FOUND
    assert parts.logger.named("object-not-readable", storage_key=keys[1])


def test_an_object_that_somebody_exchanged_is_not_passed_off(parts: Parts) -> None:
    """Another instance under the key is an error, not an answer."""
    sent, other = made_instance(), made_instance(PatientComments="longer than the other")
    key = parts.archive.store(sent).unwrap().storage_key
    other_key = parts.archive.store(other).unwrap().storage_key
    foreign = bytes(parts.backend.open(other_key).unwrap().view())
    parts.backend.put(key, [foreign], policy=REPLACE).unwrap()
    error = failure(parts.archive.open(sent.sop_instance_uid))
    assert error.code is ErrorCode.STORAGE_READ_FAILED
    assert key in error.message


# -- contradictions and odd values ---------------------------------------------------------------


def test_contradictory_patient_data_is_recorded_without_patient_data(parts: Parts) -> None:
    """The first instance decides; the log names attributes and UIDs, never their values."""
    secret = {"PatientName": "Roe^Jane", "PatientBirthDate": "19700101", "PatientSex": "F"}
    parts.archive.store(made_instance(PatientBirthDate="19600101", PatientSex="M")).unwrap()
    parts.archive.store(made_instance(**secret)).unwrap()
    parts.archive.store(made_instance(PatientID="P2")).unwrap()
    assert values(parts.archive, "PATIENT", "PatientName") == ["Doe^John"]
    assert values(parts.archive, "STUDY", "PatientBirthDate") == ["19600101"]
    assert parts.numbers() == (1, 1, 1, 3)
    recorded = parts.logger.at_least("warning")
    assert recorded
    for entry in recorded:
        for private in ("Roe", "Jane", "Doe", "John", "19700101", "19600101", "P1", "P2"):
            assert private not in repr(entry.fields)


def test_patients_without_an_id_are_not_mixed_up(parts: Parts) -> None:
    """Two studies without Patient ID are two patients, each with its own name."""
    for study, name in (("1.4", "Doe^John"), ("1.5", "Roe^Jane")):
        parts.archive.store(
            made_instance(
                StudyInstanceUID=study,
                SeriesInstanceUID=f"{study}.1",
                PatientID=None,
                PatientName=name,
            )
        ).unwrap()
    assert values(parts.archive, "STUDY", "PatientName") == ["Doe^John", "Roe^Jane"]
    assert parts.numbers() == (2, 2, 2, 2)


ODD_VALUES = {
    "date-in-words": {"StudyDate": b"yesterday"},
    "date-of-acr-nema": {"StudyDate": b"1997.04.24"},
    "time-with-letters": {"StudyTime": b"noon"},
    "number-too-large": {"InstanceNumber": b"99999999999999999999"},
    "number-in-words": {"InstanceNumber": b"first"},
    "number-of-infinity": {"InstanceNumber": b"1e999"},
    "several-numbers": {"SeriesNumber": b"1\\2\\3"},
    "nul-inside": {"PatientName": b"Doe\0John", "AccessionNumber": b"\0\0A\0\0"},
    "backslashes": {"StudyDescription": b"a\\b\\c", "PatientID": b"\\"},
    "names-in-three-groups": {"PatientName": b"Yamada^Tarou=\x1b$B;3ED\x1b(B^x=y=z=w"},
    "unknown-charset": {"SpecificCharacterSet": b"KLINGON", "PatientName": b"\xff\xfe\x80"},
    "wrong-charset": {"SpecificCharacterSet": b"ISO_IR 192", "PatientName": b"M\xfcller"},
    "surrogates": {"SpecificCharacterSet": b"ISO_IR 192", "PatientName": b"\xed\xa0\x80x"},
    "gb18030": {"SpecificCharacterSet": b"GB18030", "PatientName": b"\x81\x30\x81\x30\xff"},
    "long-text": {"StudyDescription": b"x" * 60_000, "PatientName": b"=" * 5000},
    "odd-binary": {"Rows": b"\x01", "Columns": b"\1\2\3\4\5\6", "BitsAllocated": b""},
    "modality-with-comma": {"Modality": b"CT,MR\\PT"},
    "negative-frames": {"NumberOfFrames": b"-5"},
}


def check_odd(archive: Archive, elements: dict[str, bytes]) -> None:
    """Store an instance of odd values; find it, and encode the answer."""
    sent = encoded_instance(elements)
    archive.store(sent).unwrap()
    uid = sent.sop_instance_uid
    (match,) = archive.find(Query.of("IMAGE", SOPInstanceUID=uid).unwrap()).unwrap()
    answer = match.dataset()
    assert answer["SOPInstanceUID"] == uid
    assert str(answer)
    assert match._repr_html_()
    encode_dataset(answer, EXPLICIT_VR_LITTLE_ENDIAN).unwrap()
    assert content(archive.open(uid).unwrap()) == content(sent)
    (study,) = archive.find(Query.of("STUDY", StudyInstanceUID="1.2").unwrap()).unwrap()
    encode_dataset(study.dataset(), IMPLICIT_VR_LITTLE_ENDIAN).unwrap()


@pytest.mark.parametrize("elements", ODD_VALUES.values(), ids=ODD_VALUES.keys())
def test_odd_values_never_cost_an_instance(parts: Parts, elements: dict[str, bytes]) -> None:
    """Whatever a modality writes is stored, found, and told again without a warning."""
    check_odd(parts.archive, elements)


INDEXED = sorted(
    {DicomTag(tag).keyword for tag in INDEX_TAGS if DicomTag(tag).dictionary_vr != "SQ"}
    - {"SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"}
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(INDEXED), st.binary(max_size=40), max_size=12))
def test_no_bytes_in_any_attribute_cost_an_instance(
    parts: Parts, elements: dict[str, bytes]
) -> None:
    """Random bytes in any attribute of the index are stored, found, and told again."""
    check_odd(parts.archive, elements)


# -- threads and processes -----------------------------------------------------------------------


def together(jobs: list[Callable[[], Any]]) -> list[Any]:
    """Run jobs in as many threads, all released at the same moment."""
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], Any]) -> Any:
        start.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def test_eight_threads_store_into_one_study_while_others_query(
    tmp_path: Path, database: Database
) -> None:
    """No instance is lost, none is counted twice, and what was found once stays found."""
    archive = open_archive(
        tmp_path, durability=Durability.RELAXED, database_url=database.url
    ).unwrap()
    batches = [
        [
            made_instance(
                SeriesInstanceUID=f"1.2.{batch % 3}", Modality=("CT", "PT", "SR")[batch % 3]
            )
            for _ in range(20)
        ]
        for batch in range(8)
    ]
    done = threading.Event()

    def store(batch: list[Instance]) -> None:
        for one in batch:
            archive.store(one).unwrap()
            uid = one.sop_instance_uid
            assert values(archive, "IMAGE", "SOPInstanceUID", SOPInstanceUID=uid) == [uid]

    def watch() -> None:
        before = 0
        while not done.is_set():
            counts = values(archive, "STUDY", "NumberOfStudyRelatedInstances")
            now = int(counts[0]) if counts else 0
            below = sum(1 for _ in all_of(archive))
            assert before <= now <= below <= 160
            before = now

    def stores(batch: list[Instance]) -> Callable[[], None]:
        return lambda: store(batch)

    with archive, ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        try:
            together([stores(batch) for batch in batches])
        finally:
            done.set()
        watching.result()
        query = Query.of("STUDY", return_keys=COUNTS).unwrap()
        (study,) = archive.find(query).unwrap()
        assert [study.get(keyword) for keyword in COUNTS] == ["160", "3", "CT\\PT\\SR"]
        assert archive.statistics().unwrap().instances == 160


COUNTS = ("NumberOfStudyRelatedInstances", "NumberOfStudyRelatedSeries", "ModalitiesInStudy")

STORES = """
from pacs_sdk.encoding import read_file
from pacs_sdk.storage import open_archive

def run(folder, url, paths):
    with open_archive(folder, database_url=url).unwrap() as archive:
        return [archive.store(read_file(path).unwrap()).unwrap().created for path in paths]
"""


def test_two_processes_store_overlapping_instances_of_one_study(
    tmp_path: Path, database: Database
) -> None:
    """Each instance is created by exactly one of them, and all are counted."""
    with open_archive(tmp_path / "source", durability=Durability.RELAXED).unwrap() as source:
        keys = [source.store(made_instance()).unwrap().storage_key for _ in range(80)]
    paths = [str(tmp_path / "source/objects" / key) for key in keys]
    target = tmp_path / "target"
    url = database.url
    first, second = run_together(
        STORES, [(target, url, paths[:60]), (target, url, paths[-1:19:-1])]
    )
    assert sum(first) + sum(second) == 80
    with open_archive(target, database_url=url).unwrap() as archive:
        assert values(archive, "STUDY", "NumberOfStudyRelatedInstances") == ["80"]
        assert archive.statistics().unwrap().instances == 80
        stored = {one.sop_instance_uid: content(one) for one in all_of(archive)}
    for path in paths:
        sent = read_file(path).unwrap()
        assert stored[sent.sop_instance_uid] == content(sent)


def all_of(archive: Archive) -> Iterator[Instance]:
    """Open everything."""
    return archive.instances(Query.of("STUDY").unwrap()).unwrap()


# -- opening -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["with space", "100% #1?x=y&z", "Zürich-東京", "a;b'c\"d", "%(here)s"]
)
def test_any_name_of_a_folder_will_do(tmp_path: Path, name: str) -> None:
    """Characters that mean something in URLs or configuration files mean nothing here."""
    with open_archive(tmp_path / name).unwrap() as archive:
        archive.store(made_instance()).unwrap()
    assert {path.name for path in (tmp_path / name).iterdir()} == {
        ".sessions",
        "index.sqlite",
        "objects",
    }
    with open_archive(str(tmp_path / name)).unwrap() as archive:
        assert archive.statistics().unwrap().instances == 1


def test_a_folder_that_cannot_be_used_is_told_in_words(tmp_path: Path) -> None:
    """Where a file lies in place of the folder, path and reason are named."""
    (tmp_path / "file").write_bytes(b"")
    error = failure(open_archive(tmp_path / "file"))
    assert error.code is ErrorCode.STORAGE_WRITE_FAILED
    assert str(tmp_path / "file") in error.message


def test_an_index_that_cannot_be_used_leaves_nothing_open(tmp_path: Path) -> None:
    """A damaged index is INDEX_FAILED, and the storage is given back."""
    (tmp_path / "index.sqlite").write_bytes(b"this is no database" * 100)
    error = failure(open_archive(tmp_path))
    assert error.code is ErrorCode.INDEX_FAILED
    assert "index.sqlite" in error.message
    assert list((tmp_path / "objects/.spool").iterdir()) == []


def test_a_swept_spool_is_recorded(tmp_path: Path) -> None:
    """What a dead process left is removed when the archive is opened, and that is logged."""
    left = tmp_path / "objects/.spool/dead"
    left.mkdir(parents=True)
    (left / "1.part").write_bytes(b"half")
    logger = RecordingLogger()
    open_archive(tmp_path, logger=logger).unwrap().close()
    assert logger.named("spool-swept", files=1)
    assert not left.exists()


def test_a_closed_archive_says_so(tmp_path: Path) -> None:
    """After closing, twice if need be, every operation is a failure in words."""
    archive = open_archive(tmp_path).unwrap()
    sent = made_instance()
    archive.store(sent).unwrap()
    archive.close()
    archive.close()
    query = Query.of("STUDY").unwrap()
    for result in (
        archive.store(made_instance()), archive.open(sent.sop_instance_uid), archive.find(query),
        archive.instances(query), archive.statistics(),
    ):  # fmt: skip
        assert isinstance(result, Failure)
    open_archive(tmp_path).unwrap().close()
