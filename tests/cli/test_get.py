from __future__ import annotations

from pathlib import Path

import pytest

from pacs_sdk.core import ErrorCode, MemoryBytes
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    ValidationMode,
    instance_from_dataset,
    read_file,
)
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import Peer
from pacs_sdk.services import InFolder
from tests.cli.helpers import SERIES, address, failed, pacs, refused, succeeded
from tests.services.odd_archives import Act, odd_archive, says, sends

INSTANCES = [read_file(path).unwrap() for path in sorted(SERIES.iterdir())]
HEADER = INSTANCES[0].header().unwrap()
STUDY = HEADER.text("StudyInstanceUID")
SERIES_UID = HEADER.text("SeriesInstanceUID")
PATIENT = HEADER.text("PatientID")
ONE = INSTANCES[0].sop_instance_uid


@pytest.fixture
def peer(pacs_server: Pacs) -> Peer:
    """A server that has the CT series."""
    for instance in INSTANCES:
        pacs_server.archive.store(instance).unwrap()
    return pacs_server.peer


def place(folder: Path, instance: Instance) -> Path:
    """Say where an instance of the series is written."""
    return folder / STUDY / SERIES_UID / f"{instance.sop_instance_uid}.dcm"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([f"PatientID={PATIENT}"], INSTANCES),
        ([f"StudyInstanceUID={STUDY}"], INSTANCES),
        ([f"SeriesInstanceUID={SERIES_UID}", f"StudyInstanceUID={STUDY}"], INSTANCES),
        ([f"StudyInstanceUID={STUDY}", f"SeriesInstanceUID={SERIES_UID}",
          f"SOPInstanceUID={ONE}"], INSTANCES[:1]),
        ([f"StudyInstanceUID={STUDY}", f"SeriesInstanceUID={SERIES_UID}",
          f"SOPInstanceUID={ONE}", f"SOPInstanceUID={INSTANCES[3].sop_instance_uid}"],
         [INSTANCES[0], INSTANCES[3]]),
    ],
    ids=["patient", "study", "series", "image", "two images"],
)  # fmt: skip
def test_files_are_byte_identical_and_in_their_place(
    peer: Peer, tmp_path: Path, keys: list[str], expected: list[Instance]
) -> None:
    """The level follows from the keys; each data set is written exactly as it was stored."""
    options = [part for key in keys for part in ("-k", key)]
    text = succeeded(pacs("get", *address(peer), "--out", tmp_path, *options))
    assert text.startswith(f"received {len(expected)} instances, ")
    files = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {place(tmp_path, instance) for instance in expected}
    for instance in expected:
        came = read_file(place(tmp_path, instance)).unwrap()
        assert came.transfer_syntax_uid == instance.transfer_syntax_uid
        assert bytes(came.encoded.view()) == bytes(instance.encoded.view())


def test_the_level_can_be_chosen(peer: Peer, tmp_path: Path) -> None:
    """``--level`` says what the keys say by themselves."""
    succeeded(
        pacs(
            "get", *address(peer), "--out", tmp_path, "--level", "study",
            "-k", f"StudyInstanceUID={STUDY}",
        )
    )  # fmt: skip
    assert len(list(tmp_path.rglob("*.dcm"))) == 5


def test_nothing_found_is_a_failure(peer: Peer, tmp_path: Path) -> None:
    """A study that the peer does not have gives exit code 1 and a hint."""
    line = failed(pacs("get", *address(peer), "--out", tmp_path, "-k", "StudyInstanceUID=1.2.9"))
    assert "nothing of that" in line
    assert "pacs find" in line


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-k", "PatientName=Doe*"], "PatientName: a retrieval names what it wants by unique keys"),
        (["-k", "StudyInstanceUID"], "say what to fetch"),
        (["-k", "StudyInstanceUID=1.2", "--level", "SERIES"], "give SeriesInstanceUID a value"),
        (
            ["-k", "StudyInstanceUID=1.2", "-k", "SeriesInstanceUID=1.3", "--level", "STUDY"],
            "SeriesInstanceUID says less than a whole study",
        ),
        ([], "Missing option"),
    ],
)
def test_keys_that_name_nothing_are_bad_usage(options: list[str], words: str) -> None:
    """A C-GET needs unique keys; anything else is refused before anybody is asked."""
    assert words in refused(pacs("get", "localhost", "104", "--out", "x", *options))


def test_an_output_folder_that_cannot_be(peer: Peer, tmp_path: Path) -> None:
    """Instances that cannot be written fail, each with the reason."""
    (tmp_path / "file").write_text("in the way")
    result = pacs(
        "get", *address(peer), "--out", tmp_path / "file", "-k", f"StudyInstanceUID={STUDY}"
    )
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert len(lines) == 5
    for line in lines:
        assert "Not a directory" in line
        assert "check the folder's permissions" in line


@pytest.mark.parametrize(
    ("acts", "words"),
    [
        (
            [sends, says(0xB000, failed_uids=["1.2.9"])],
            "1 instances could not be sent by the peer",
        ),
        ([sends, says(0xB000)], "with status B000H, which stands for failures or warnings"),
        ([sends, says(0x0000, (3, 0, 0))], "2 instances that the peer says it sent did not come"),
        ([says(0xA702, (0, 4, 0))], "4 instances could not be sent by the peer"),
    ],
    ids=["a list without counts", "no counts", "more than came", "nothing"],
)
def test_what_did_not_come_is_a_failure(acts: list[Act], words: str, tmp_path: Path) -> None:
    """Exit code 1 unless everything came, however the peer puts it."""
    with odd_archive(*acts) as peer:
        result = pacs("get", *address(peer), "--out", tmp_path, "-k", "StudyInstanceUID=1.2.3")
    assert words in failed(result)
    assert len(list(tmp_path.rglob("*.dcm"))) == (sends in acts)


def hostile(**elements: str) -> Instance:
    """Make an instance whose UIDs a peer could have made up."""
    dataset = INSTANCES[0].dataset().unwrap()
    for keyword, value in elements.items():
        dataset.pydicom[keyword].value = "1.2"  # pydicom would warn about the real value
        dataset.pydicom[keyword]._value = value
    return Instance(
        INSTANCES[0].sop_class_uid,
        INSTANCES[0].sop_instance_uid,
        EXPLICIT_VR_LITTLE_ENDIAN.uid,
        MemoryBytes(
            bytes(
                instance_from_dataset(dataset, validation=ValidationMode.LENIENT)
                .unwrap()
                .encoded.view()
            )
        ),
    )


@pytest.mark.parametrize("uid", ["../../etc", "/etc", "1.2/../..", "..", "1.2\\3", ""])
@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_a_hostile_uid_never_becomes_a_path(tmp_path: Path, keyword: str, uid: str) -> None:
    """Only digits and dots of a UID's form may name a folder; the rest is refused."""
    writer = InFolder(tmp_path / "out")
    error = writer.keep(hostile(**{keyword: uid})).failure()
    assert error.code in (ErrorCode.INVALID_UID, ErrorCode.MISSING_REQUIRED_VALUE)
    assert list(tmp_path.rglob("*")) == []
    assert writer.failures == [(INSTANCES[0].sop_instance_uid, error)]


def test_what_comes_twice_is_written_once(tmp_path: Path) -> None:
    """Other data by the same UID does not take the place of what came before it."""
    first = INSTANCES[0]
    dataset = INSTANCES[1].dataset().unwrap()
    dataset["SOPInstanceUID"] = ONE
    other = instance_from_dataset(dataset).unwrap()
    writer = InFolder(tmp_path)
    path = writer.keep(first).unwrap()
    assert writer.keep(first).unwrap() == path
    error = writer.keep(other).failure()
    assert error.code is ErrorCode.DUPLICATE_OBJECT
    assert str(path) in error.message
    assert writer.paths == [path]
    assert writer.failures == [(ONE, error)]
    assert bytes(read_file(path).unwrap().encoded.view()) == bytes(first.encoded.view())
    again = InFolder(tmp_path)  # which replaces what another retrieval has left
    assert again.keep(other).unwrap() == path
    assert bytes(read_file(path).unwrap().encoded.view()) == bytes(other.encoded.view())


def test_a_terminal_sees_progress(
    peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal a bar follows the peer's counts; stdout stays as it is."""
    monkeypatch.setattr("pacs_sdk.cli.output.is_terminal", lambda stream: True)
    result = pacs("get", *address(peer), "--out", tmp_path, "-k", f"StudyInstanceUID={STUDY}")
    assert succeeded(result).startswith("received 5 instances")
