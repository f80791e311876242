from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import attrs
import pydicom
import pytest

from pacs_sdk.core import ErrorCode, Failure, PacsError, PacsResult, Success
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, Instance, read_file
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import DicomServer, DicomService, Exchange, ServerConfig, SupportedContext
from pacs_sdk.services import StorageScp, storage_sop_classes
from pacs_sdk.storage import Query
from tests.cli.helpers import SERIES, TEST_FILES, address, failed, pacs, succeeded


def stored_uids(server: Pacs) -> set[str]:
    """List what the archive has."""
    everything = Query.of("STUDY").unwrap()
    return {one.sop_instance_uid for one in server.archive.instances(everything).unwrap()}


def uids_of(folder: Path) -> set[str]:
    """List the instances of a folder."""
    return {read_file(path).unwrap().sop_instance_uid for path in folder.iterdir()}


def test_a_folder_is_stored(pacs_server: Pacs) -> None:
    """Every file of a folder arrives; the line on stdout counts them and their bytes."""
    text = succeeded(pacs("store", *address(pacs_server.peer), SERIES))
    assert text.startswith("stored 5 of 5 instances, 18.0 kB in ")
    assert stored_uids(pacs_server) == uids_of(SERIES)


def test_files_and_folders_in_folders(pacs_server: Pacs, tmp_path: Path) -> None:
    """Folders are searched to any depth, files may be named beside them."""
    deep = tmp_path / "a/b"
    deep.mkdir(parents=True)
    first, second, third, *_ = sorted(SERIES.iterdir())
    shutil.copy(first, deep)
    shutil.copy(second, tmp_path)
    text = succeeded(pacs("store", *address(pacs_server.peer), tmp_path, third))
    assert text.startswith("stored 3 of 3 instances")


@pytest.mark.parametrize("parallel", [2, 5, 9])
def test_parallel_associations_send_everything_once(
    pacs_server: Pacs, recording_logger: object, parallel: int
) -> None:
    """With --parallel, as many associations as there are images at most share the work."""
    from pacs_sdk.testing import RecordingLogger

    assert isinstance(recording_logger, RecordingLogger)
    text = succeeded(pacs("store", *address(pacs_server.peer), SERIES, "--parallel", parallel))
    assert text.startswith("stored 5 of 5 instances")
    assert stored_uids(pacs_server) == uids_of(SERIES)
    assert len(recording_logger.named("association-accepted")) == min(parallel, 5)


def test_what_is_not_dicom_in_a_folder_is_skipped(pacs_server: Pacs, tmp_path: Path) -> None:
    """Other files and DICOMDIRs are noted on stderr, counted, and no failure."""
    shutil.copytree(SERIES, tmp_path / "ct")
    (tmp_path / "README.txt").write_text("not an image")
    (tmp_path / "empty").touch()
    shutil.copy(TEST_FILES / "dicomdirtests/DICOMDIR", tmp_path / "DICOMDIR")
    shutil.copy(TEST_FILES / "dicomdirtests/DICOMDIR", tmp_path / "renamed")
    result = pacs("store", *address(pacs_server.peer), tmp_path)
    assert succeeded(result).rstrip().endswith(", 4 files skipped")
    notes = result.stderr.splitlines()
    assert [line.partition(":")[0] for line in notes] == ["pacs"] * 4
    for name in ("README.txt: skipped, not DICOM", "empty: skipped, not DICOM", "DICOMDIR"):
        assert any(name in line for line in notes)


def test_many_skipped_files_are_not_all_listed(pacs_server: Pacs, tmp_path: Path) -> None:
    """A folder full of other files gives a few notes and how many more there are."""
    shutil.copy(next(SERIES.iterdir()), tmp_path)
    for number in range(30):
        (tmp_path / f"{number}.txt").touch()
    result = pacs("store", *address(pacs_server.peer), tmp_path)
    assert "30 files skipped" in succeeded(result)
    notes = result.stderr.splitlines()
    assert len(notes) == 21
    assert notes[-1] == "pacs: … and 10 more"


def _text(path: Path) -> Path:
    path.write_text("hello, I am a text")
    return path


def _truncated(path: Path) -> Path:
    path.write_bytes((TEST_FILES / "CT_small.dcm").read_bytes()[:-1000])
    return path


def _missing(path: Path) -> Path:
    return path


def _directory_file(path: Path) -> Path:
    shutil.copy(TEST_FILES / "dicomdirtests/DICOMDIR", path)
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_text, ["it is not DICOM", "check that it is the right file"]),
        (_truncated, ["the data set ends inside"]),
        (_missing, ["there is no file", "check the path"]),
        (_directory_file, ["a DICOMDIR", "name the folder"]),
    ],
    ids=["not DICOM", "truncated", "missing", "DICOMDIR"],
)
def test_a_bad_file_that_is_named_fails(
    pacs_server: Pacs, tmp_path: Path, make: Callable[[Path], Path], words: list[str]
) -> None:
    """One line names the file, the reason and what to do; exit code 1."""
    bad = make(tmp_path / "bad.dcm")
    line = failed(pacs("store", *address(pacs_server.peer), bad))
    assert str(bad) in line
    for word in words:
        assert word in line


def test_good_files_are_sent_beside_bad_ones(pacs_server: Pacs, tmp_path: Path) -> None:
    """A bad file costs the exit code, and nothing else."""
    bad = _truncated(tmp_path / "bad.dcm")
    result = pacs("store", *address(pacs_server.peer), bad, SERIES)
    assert str(bad) in failed(result)
    assert result.stdout.startswith("stored 5 of 6 instances")
    assert stored_uids(pacs_server) == uids_of(SERIES)


def test_a_truncated_file_in_a_folder_is_a_failure(pacs_server: Pacs, tmp_path: Path) -> None:
    """Unlike a text file, an image that is cut off was meant to be sent."""
    _truncated(tmp_path / "cut.dcm")
    assert "cut.dcm" in failed(pacs("store", *address(pacs_server.peer), tmp_path))


def test_nothing_to_send(pacs_server: Pacs, tmp_path: Path) -> None:
    """An empty folder is not silently a success."""
    assert "nothing to send" in failed(pacs("store", *address(pacs_server.peer), tmp_path))


@pytest.mark.parametrize("parallel", [1, 3])
def test_an_unreachable_peer_is_one_line(parallel: int) -> None:
    """However many associations were tried, the reason is given once."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        line = failed(pacs("store", "127.0.0.1", port, SERIES, "--parallel", parallel))
    assert "Connection refused" in line


def test_refused_instances_are_listed_with_the_reason() -> None:
    """Each instance that the peer refused is a line with file, status and comment."""
    first = read_file(min(SERIES.iterdir())).unwrap().sop_instance_uid

    def keep(instance: Instance) -> PacsResult[None]:
        if instance.sop_instance_uid == first:
            return Success(None)
        return Failure(PacsError(ErrorCode.STORE_OUT_OF_RESOURCES, "the shelf is full"))

    with DicomServer(ServerConfig(port=0), [StorageScp(keep)]).start().unwrap() as server:
        result = pacs("store", server.host, server.port, SERIES)
    assert result.exit_code == 1
    assert result.stdout.startswith("stored 1 of 5 instances")
    lines = result.stderr.splitlines()
    assert len(lines) == 4
    for line in lines:
        assert f"{SERIES}/" in line
        assert "status A700H: the shelf is full" in line


class _OnlyImplicit(DicomService):
    """Takes CT images in Implicit VR Little Endian and nothing else."""

    def __init__(self) -> None:
        self.inner = StorageScp(self.keep)
        self.kept: list[str] = []

    def keep(self, instance: Instance) -> PacsResult[None]:
        """Remember an instance."""
        self.kept.append(instance.transfer_syntax_uid)
        return Success(None)

    def supported_contexts(self) -> list[SupportedContext]:
        """List the storage SOP classes, in one transfer syntax."""
        return [SupportedContext(one.uid, ["1.2.840.10008.1.2"]) for one in storage_sop_classes()]

    def handle(self, exchange: Exchange) -> None:
        """Store."""
        self.inner.handle(exchange)


def test_transcode_auto_and_never() -> None:
    """An uncompressed image is re-encoded for a peer that needs it, unless forbidden."""
    service = _OnlyImplicit()
    with DicomServer(ServerConfig(port=0), [service]).start().unwrap() as server:
        where = (server.host, server.port)
        never = pacs("store", *where, SERIES, "--transcode", "never")
        assert never.exit_code == 1
        assert never.stdout.startswith("stored 0 of 5 instances")
        assert EXPLICIT_VR_LITTLE_ENDIAN.name in never.stderr.splitlines()[0]
        assert service.kept == []
        succeeded(pacs("store", *where, SERIES, "--transcode", "auto"))
    assert service.kept == ["1.2.840.10008.1.2"] * 5


def test_lossy_is_said_and_done() -> None:
    """With --transcode lossy a peer that takes nothing else gets derived images."""
    jpeg_2000 = "1.2.840.10008.1.2.4.91"
    kept: list[str] = []

    def keep(instance: Instance) -> PacsResult[None]:
        kept.append(instance.sop_instance_uid)
        return Success(None)

    class Choosy(StorageScp):
        def supported_contexts(self) -> list[SupportedContext]:
            return [SupportedContext(one.uid, [jpeg_2000]) for one in storage_sop_classes()]

    with DicomServer(ServerConfig(port=0), [Choosy(keep)]).start().unwrap() as server:
        where = (server.host, server.port)
        assert pacs("store", *where, SERIES).exit_code == 1
        text = succeeded(pacs("store", *where, SERIES, "--transcode", "lossy"))
    assert text.startswith("stored 5 of 5 instances")
    assert "5 re-encoded" in text
    assert len(kept) == 5
    assert not uids_of(SERIES) & set(kept)


def test_the_transfer_syntax_can_be_chosen(pacs_server: Pacs) -> None:
    """--transfer-syntax re-encodes before sending; what may lose something has to be allowed."""
    to = address(pacs_server.peer)
    text = succeeded(pacs("store", *to, SERIES, "--transfer-syntax", "JPEGLSLossless"))
    assert "5 re-encoded" in text
    everything = pacs_server.archive.instances(Query.of("STUDY").unwrap()).unwrap()
    assert {one.syntax.keyword for one in everything} == {"JPEGLSLossless"}
    assert "only the policy LOSSY" in failed(
        pacs("store", *to, SERIES, "--transfer-syntax", "JPEGBaseline8Bit")
    )


def test_a_second_run_with_a_resume_list(pacs_server: Pacs, tmp_path: Path) -> None:
    """What the peer acknowledged is not sent again; the line says so."""
    first = min(SERIES.iterdir())
    resume = ("--resume", tmp_path / "list.txt")
    succeeded(pacs("store", *address(pacs_server.peer), first, *resume))
    text = succeeded(pacs("store", *address(pacs_server.peer), SERIES, *resume))
    assert text.startswith("stored 5 of 5 instances, 14.4 kB in ")
    assert "1 of them in an earlier run" in text


def test_a_resume_list_of_another_peer(pacs_server: Pacs, tmp_path: Path) -> None:
    """It is refused in one line that names both."""
    path = tmp_path / "list.txt"
    path.write_text("# pacs_sdk resume list of OTHER at 192.0.2.1 port 104\n")
    line = failed(pacs("store", *address(pacs_server.peer), SERIES, "--resume", path))
    assert "OTHER at 192.0.2.1 port 104" in line
    assert str(path) in line


def test_retries_are_as_many_as_given() -> None:
    """With --retries 1 an image that the peer cannot take at first is sent again."""
    refused: list[str] = []

    def keep(instance: Instance) -> PacsResult[None]:
        if instance.sop_instance_uid not in refused:
            refused.append(instance.sop_instance_uid)
            return Failure(PacsError(ErrorCode.STORE_OUT_OF_RESOURCES, "busy"))
        return Success(None)

    one = min(SERIES.iterdir())
    with DicomServer(ServerConfig(port=0), [StorageScp(keep)]).start().unwrap() as server:
        where = (server.host, server.port)
        assert "busy" in failed(pacs("store", *where, one))
        refused.clear()
        assert succeeded(pacs("store", *where, one, "--retries", 1)).startswith("stored 1 of 1")


def test_json_tells_of_each_file(pacs_server: Pacs, tmp_path: Path) -> None:
    """--json prints one object with counts and an entry a file; the exit code is the same."""
    bad = _truncated(tmp_path / "bad.dcm")
    first = min(SERIES.iterdir())
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/text").write_text("hello")
    result = pacs("store", *address(pacs_server.peer), first, bad, tmp_path / "folder", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["stored"], told["failed"], told["bytes"]) == (1, 1, 3600)
    good, broken = told["instances"]
    assert good["file"] == str(first)
    assert (good["status"], good["stored"], good["error"]) == ("0000", True, None)
    assert good["transfer_syntax_uid"] == EXPLICIT_VR_LITTLE_ENDIAN.uid
    assert good["sop_instance_uid"] == read_file(first).unwrap().sop_instance_uid
    assert (broken["status"], broken["stored"], broken["error"]) == (None, False, "TRUNCATED")
    assert [Path(one["file"]).name for one in told["skipped"]] == ["text"]


def test_a_window_is_asked_for(pacs_server: Pacs) -> None:
    """--window sends ahead of the answers; all of it arrives."""
    text = succeeded(pacs("store", *address(pacs_server.peer), SERIES, "--window", 4))
    assert text.startswith("stored 5 of 5")


def test_a_duplicate_with_other_content_is_refused(pacs_server: Pacs, tmp_path: Path) -> None:
    """What was stored first stays; the sender is told, and what to do."""
    path = min(SERIES.iterdir())
    succeeded(pacs("store", *address(pacs_server.peer), path))
    changed = pydicom.dcmread(path)
    changed.SeriesDescription = "changed"
    changed.save_as(tmp_path / "changed.dcm")
    line = failed(pacs("store", *address(pacs_server.peer), tmp_path / "changed.dcm"))
    assert "0111H" in line


@attrs.define
class _Terminal:
    """Stands for a terminal in this process."""

    def __call__(self, stream: object) -> bool:
        return True


def test_a_terminal_sees_progress(pacs_server: Pacs, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a bar counts the images; stdout stays as it is."""
    monkeypatch.setattr("pacs_sdk.cli.output.is_terminal", _Terminal())
    result = pacs("store", *address(pacs_server.peer), SERIES)
    assert succeeded(result).startswith("stored 5 of 5")


def test_a_terminal_sees_failures_as_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """File, status and reason are columns; the summary stays."""

    def refuse(_: Instance) -> PacsResult[None]:
        return Failure(PacsError(ErrorCode.STORE_OUT_OF_RESOURCES, "the shelf is full"))

    monkeypatch.setattr("pacs_sdk.cli.output.is_terminal", _Terminal())
    monkeypatch.setattr("pacs_sdk.cli.store.is_terminal", _Terminal())
    with DicomServer(ServerConfig(port=0), [StorageScp(refuse)]).start().unwrap() as server:
        result = pacs("store", server.host, server.port, SERIES)
    assert result.exit_code == 1
    assert result.stdout.startswith("stored 0 of 5")
    assert "Not stored" in result.stdout
    assert result.stdout.count("A700H") == 5
    assert result.stdout.count("the shelf is full") == 5
