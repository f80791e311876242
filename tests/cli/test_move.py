"""``pacs move``: to a third party, and to itself."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacs_sdk.encoding import read_file
from pacs_sdk.integration.config import PacsConfig, StorageConfig
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import DicomServer, Peer, ServerConfig
from pacs_sdk.services import Destination, InMemory, StorageScp
from tests.cli.helpers import SERIES, address, failed, pacs, refused, succeeded, values_by_uid
from tests.network.tls_peers import Pki
from tests.services.odd_archives import Act, odd_archive, says

INSTANCES = [read_file(path).unwrap() for path in sorted(SERIES.iterdir())]
HEADER = INSTANCES[0].header().unwrap()
STUDY = HEADER.text("StudyInstanceUID")
SERIES_UID = HEADER.text("SeriesInstanceUID")
PATIENT = HEADER.text("PatientID")


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def shelf() -> Iterator[tuple[InMemory, Peer]]:
    """Run a Storage SCP."""
    box = InMemory()
    with DicomServer(ServerConfig(port=0, ae_title="SHELF"), [StorageScp(box.keep)]) as server:
        yield box, Peer("127.0.0.1", server.port, "SHELF")


@pytest.fixture
def here() -> int:
    """Give the port that the archive knows as ME."""
    return free_port()


@pytest.fixture
def archive(tmp_path: Path, shelf: tuple[InMemory, Peer], here: int) -> Iterator[Peer]:
    """Run an archive that has the CT series and knows three destinations."""
    _, peer = shelf
    config = PacsConfig(
        server=ServerConfig(port=0),
        storage=StorageConfig(data_dir=tmp_path / "archive"),
        destinations=(
            Destination("SHELF", "127.0.0.1", peer.port),
            Destination("ME", "127.0.0.1", here),
            Destination("DOWN", "127.0.0.1", 1),
        ),
    )
    with Pacs.configured(config) as running:
        for instance in INSTANCES:
            running.archive.store(instance).unwrap()
        yield running.peer


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        ([f"PatientID={PATIENT}"], 5),
        ([f"PatientID={PATIENT}", f"StudyInstanceUID={STUDY}"], 5),
        ([f"StudyInstanceUID={STUDY}"], 5),
        ([f"SeriesInstanceUID={SERIES_UID}"], 5),
        ([f"SOPInstanceUID={INSTANCES[0].sop_instance_uid}"], 1),
    ],
    ids=["patient", "study of patient", "study", "series", "image"],
)
def test_a_peer_sends_to_a_third_party(
    archive: Peer, shelf: tuple[InMemory, Peer], keys: list[str], count: int
) -> None:
    """Level and model follow from the keys; keys of levels above may be left out."""
    options = [part for key in keys for part in ("-k", key)]
    text = succeeded(pacs("move", *address(archive), "--dest", "SHELF", *options))
    assert text == f"{count} instances were sent to SHELF\n"
    assert len(shelf[0].instances) == count


def test_what_is_moved_here_is_written(archive: Peer, here: int, tmp_path: Path) -> None:
    """With ``--receive`` it listens itself, and files lie as those of ``pacs get``."""
    out = tmp_path / "out"
    text = succeeded(
        pacs(
            "move", *address(archive), "--dest", "ME", "--receive", here, "--out", out,
            "-k", f"StudyInstanceUID={STUDY}",
        )
    )  # fmt: skip
    assert text.startswith("received 5 instances, ")
    assert values_by_uid(out) == values_by_uid(SERIES)
    assert len(list((out / STUDY / SERIES_UID).iterdir())) == 5


@pytest.mark.parametrize(
    ("destination", "study", "words"),
    [
        ("NOBODY", STUDY, "no destination 'NOBODY' is configured"),
        ("SHELF", "1.2.9", "the peer has nothing of that; check the keys with `pacs find`"),
        ("ME", STUDY, "cannot connect to 127.0.0.1"),
    ],
)
def test_failures_are_told_in_words(
    archive: Peer, destination: str, study: str, words: str
) -> None:
    """Exit code 1, and the peer's own reason."""
    result = pacs(
        "move", *address(archive), "--dest", destination, "-k", f"StudyInstanceUID={study}"
    )
    assert result.exit_code == 1
    assert words in result.stderr


def test_each_instance_that_was_not_sent_is_named(archive: Peer) -> None:
    """The peer lists what failed, and so does the command."""
    result = pacs("move", *address(archive), "--dest", "DOWN", "-k", f"StudyInstanceUID={STUDY}")
    assert result.exit_code == 1
    for instance in INSTANCES:
        assert f"not sent: {instance.sop_instance_uid}" in result.stderr
    assert "5 instances were not taken by DOWN" in result.stderr


@pytest.mark.parametrize(
    ("how", "who", "count"),
    [
        ("server", None, 5),
        ("mutual", "client", 5),
        ("mutual", "stranger", 0),
        ("mutual", None, 0),
        (None, "client", 0),
    ],
)
@pytest.mark.slow
def test_what_is_moved_here_comes_over_tls(
    here: int, tmp_path: Path, how: str | None, who: str | None, count: int
) -> None:
    """With --receive-tls our certificate is that of --cert-file; mutual demands one of who sends."""
    pki = Pki.make(tmp_path)
    tls = pki.client_tls if who is None else pki.as_client(getattr(pki, who))
    config = PacsConfig(
        server=ServerConfig(port=0, tls=pki.mutual_tls),
        storage=StorageConfig(data_dir=tmp_path / "archive"),
        destinations=(Destination("ME", "127.0.0.1", here, tls),),
    )
    secure = () if how is None else ("--receive-tls", how)
    out = tmp_path / "out"
    with Pacs.configured(config) as running:
        for instance in INSTANCES:
            running.archive.store(instance).unwrap()
        result = pacs(
            "move", *address(running.peer), "--dest", "ME", "--receive", here, "--out", out,
            "-k", f"StudyInstanceUID={STUDY}", "--tls", "--ca-file", pki.ca.certificate,
            "--cert-file", pki.client.certificate, "--key-file", pki.client.private_key, *secure,
        )  # fmt: skip
    if count:
        assert succeeded(result).startswith(f"received {count} instances, ")
        assert values_by_uid(out) == values_by_uid(SERIES)
    else:
        assert result.exit_code == 1
        assert "5 instances were not taken by ME" in result.stderr
        assert not out.exists()


def test_a_port_that_is_taken(archive: Peer, tmp_path: Path) -> None:
    """It is said before the peer is asked for anything."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = failed(
            pacs(
                "move", *address(archive), "--dest", "ME", "--receive", port,
                "--out", tmp_path / "out", "-k", f"StudyInstanceUID={STUDY}",
            )
        )  # fmt: skip
    assert str(port) in line


ANY = ["--dest", "A", "-k", "StudyInstanceUID=1"]
HERE = [*ANY, "--receive", "104", "--out", "x"]
OURS = ["--tls", "--cert-file", "a.pem", "--key-file", "a.key"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--dest", "A", "-k", "PatientName=Doe*"], "a retrieval names what it wants"),
        (["--dest", "A", "-k", "StudyInstanceUID"], "say what to fetch"),
        (["--dest", "A" * 17, "-k", "StudyInstanceUID=1.2"], "is no AE title"),
        (["-k", "StudyInstanceUID=1.2"], "Missing option '--dest'"),
        (["--dest", "A", "--receive", "104", "-k", "StudyInstanceUID=1"], "it goes with --out"),
        (["--dest", "A", "--out", "x", "-k", "StudyInstanceUID=1"], "it goes with --receive"),
        ([*ANY, "--receive-tls", "server"], "--receive-tls: it goes with --receive"),
        ([*HERE, "--receive-tls", "server"], "it goes with --tls, --cert-file and --key-file"),
        ([*HERE, "--tls", "--receive-tls", "mutual"], "it goes with --tls, --cert-file"),
        ([*HERE, *OURS, "--receive-tls", "mutual"], "mutual goes with --ca-file"),
        ([*HERE, *OURS, "--receive-tls", "often"], "'often'"),
    ],
)
def test_bad_usage(options: list[str], words: str) -> None:
    """What cannot be meant is refused before anybody is asked."""
    assert words in refused(pacs("move", "localhost", "104", *options))


def test_what_goes_to_somebody_else_of_that_name_is_a_failure(here: int, tmp_path: Path) -> None:
    """An archive that knows another address by our AE title sends there, and is content."""
    with odd_archive(says(0x0000, (5, 0, 0))) as peer:
        result = pacs(
            "move", *address(peer), "--dest", "ME", "--receive", here, "--out", tmp_path / "out",
            "-k", f"StudyInstanceUID={STUDY}",
        )  # fmt: skip
    assert "5 instances that the peer says it sent to ME did not come here" in failed(result)
    assert result.stdout == ""


def test_what_cannot_be_written_is_a_failure(archive: Peer, here: int, tmp_path: Path) -> None:
    """Exit code 1, each instance with the reason, once."""
    (tmp_path / "file").write_text("in the way")
    result = pacs(
        "move", *address(archive), "--dest", "ME", "--receive", here, "--out", tmp_path / "file",
        "-k", f"StudyInstanceUID={STUDY}",
    )  # fmt: skip
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert len(lines) == 5
    assert all("Not a directory" in line for line in lines)


@pytest.mark.parametrize(
    ("acts", "text"),
    [
        ([says(0xFF00, (2, 0, 0), 3), says(0x0000)], "5 instances were sent to SHELF\n"),
        ([says(0x0000)], "all was sent to SHELF, says the peer, which does not count it\n"),
    ],
    ids=["until the end", "at all"],
)
def test_a_peer_that_does_not_count(acts: list[Act], text: str) -> None:
    """The counts of a final response are optional; without them success is still one."""
    with odd_archive(*acts) as peer:
        result = pacs("move", *address(peer), "--dest", "SHELF", "-k", "StudyInstanceUID=1.2.3")
    assert succeeded(result) == text


def test_a_warning_without_counts_is_a_failure() -> None:
    """B000H says that something failed, or has a warning; nobody knows which."""
    with odd_archive(says(0xB000)) as peer:
        result = pacs("move", *address(peer), "--dest", "SHELF", "-k", "StudyInstanceUID=1.2.3")
    assert "the peer ended the C-MOVE with status B000H" in failed(result)
