"""DCMTK's programs against `pacs serve`, and `pacs` against DCMTK's `storescp`.

Every test runs the real programs as processes on loopback.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import attrs
import pydicom
import pydicom.data
import pytest

SERIES = Path(pydicom.data.__file__).parent / "test_files/dicomdirtests/98892001/CT5N"
"""Five CT slices, Explicit VR Little Endian."""

PACS = Path(sys.executable).with_name("pacs")
ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}
DEADLINE_S = 60


@attrs.frozen
class Server:
    """A `pacs serve` process that is ready."""

    host: str
    port: int
    ae_title: str = "PACS_SCP"

    @property
    def address(self) -> list[str]:
        """The two arguments that every DCMTK client takes."""
        return [self.host, str(self.port)]


def run(*command: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; a failure shows what it printed."""
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
        env=ENVIRONMENT,
    )
    if check:
        assert done.returncode == 0, (
            f"{command} gave {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
    return done


@contextmanager
def process(*command: object, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run a server process and end it afterwards."""
    with subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=ENVIRONMENT | environment,
    ) as started:
        try:
            yield started
        finally:
            started.terminate()
            started.wait(DEADLINE_S)


@pytest.fixture(params=["threaded", "asyncio"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """Run `pacs serve` on a free port, with each driver."""
    with process(
        PACS,
        "serve",
        "--data",
        tmp_path / "archive",
        "--ae-title",
        "PACS_SCP",
        "--port",
        0,
        PACS_SERVER__DRIVER=request.param,
    ) as serving:
        assert serving.stdout is not None
        line = serving.stdout.readline()
        assert line.startswith("READY dicom="), line
        host, _, port = line.split()[1].removeprefix("dicom=").rpartition(":")
        yield Server(host, int(port))


@contextmanager
def storescp(program: Path, folder: Path, *options: str) -> Iterator[Server]:
    """Serve one association with DCMTK's storescp, on a port that is free.

    storescp can neither choose a port nor say when it listens, so the test listens and
    hands it the connection as inetd would.
    """
    command: list[str | Path] = [program, "--inetd", "-aet", "STORESCP", "-od", folder, *options]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE_S)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                subprocess.run(
                    command,
                    stdin=connection.fileno(),
                    check=True,
                    timeout=DEADLINE_S,
                    env=ENVIRONMENT,
                )

        with ThreadPoolExecutor() as pool:
            served = pool.submit(serve)
            yield Server("127.0.0.1", listener.getsockname()[1], "STORESCP")
            served.result(DEADLINE_S)


def by_uid(folder: Path) -> dict[str, pydicom.Dataset]:
    """Read every DICOM file of a folder: SOP Instance UID -> data set.

    Values are compared, not bytes: DCMTK writes data sets anew, with its own choice of
    lengths and padding.
    """
    read = [pydicom.dcmread(path) for path in folder.iterdir()]
    return {str(dataset.SOPInstanceUID): dataset for dataset in read}


def study_uid() -> str:
    """Return the Study Instance UID of the series that is sent."""
    return str(pydicom.dcmread(next(SERIES.iterdir())).StudyInstanceUID)


def series_uid() -> str:
    """Return its Series Instance UID."""
    return str(pydicom.dcmread(next(SERIES.iterdir())).SeriesInstanceUID)


@pytest.mark.interop("echoscu")
def test_echoscu_is_answered(server: Server, dcmtk: dict[str, Path]) -> None:
    """`echoscu` succeeds, whatever AE title it uses."""
    run(dcmtk["echoscu"], "-aet", "ANYONE", "-aec", server.ae_title, *server.address)


@pytest.mark.interop("storescu", "findscu", "getscu")
def test_store_find_and_get_by_dcmtk(
    server: Server, dcmtk: dict[str, Path], tmp_path: Path
) -> None:
    """A series sent by `storescu` is found by `findscu -S` and comes back by `getscu -S`."""
    run(dcmtk["storescu"], "-aec", server.ae_title, "+sd", *server.address, SERIES)

    answers = tmp_path / "answers"
    answers.mkdir()
    run(
        dcmtk["findscu"], "-S", "-X", "-od", answers, "-aec", server.ae_title, *server.address,
        "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName=doe*", "-k", "StudyInstanceUID",
        "-k", "NumberOfStudyRelatedInstances", "-k", "ModalitiesInStudy",
    )  # fmt: skip
    (answer,) = answers.iterdir()
    found = pydicom.dcmread(answer, force=True)
    assert found.StudyInstanceUID == study_uid()
    assert found.NumberOfStudyRelatedInstances == 5
    assert found.ModalitiesInStudy == "CT"

    fetched = tmp_path / "fetched"
    fetched.mkdir()
    run(
        dcmtk["getscu"], "-S", "-od", fetched, "-aec", server.ae_title, *server.address,
        "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study_uid()}",
    )  # fmt: skip
    assert by_uid(fetched) == by_uid(SERIES)


@pytest.mark.interop("storescu", "findscu")
@pytest.mark.parametrize(("level", "keys", "matches"), [
    ("PATIENT", ["PatientName=Doe*"], 1),
    ("STUDY", ["PatientName=Nobody*"], 0),
    ("SERIES", ["SeriesInstanceUID="], 1),
    ("IMAGE", ["SOPInstanceUID="], 5),
])  # fmt: skip
def test_findscu_at_every_level(
    server: Server,
    dcmtk: dict[str, Path],
    tmp_path: Path,
    level: str,
    keys: list[str],
    matches: int,
) -> None:
    """Each level gives its own number of matches; PATIENT is asked in the Patient Root model."""
    run(dcmtk["storescu"], "-aec", server.ae_title, "+sd", *server.address, SERIES)
    answers = tmp_path / "answers"
    answers.mkdir()
    if level in ("SERIES", "IMAGE"):
        keys = [*keys, f"StudyInstanceUID={study_uid()}"]
    if level == "IMAGE":
        keys = [*keys, f"SeriesInstanceUID={series_uid()}"]
    options = [part for key in keys for part in ("-k", key)]
    model = "-P" if level == "PATIENT" else "-S"
    run(
        dcmtk["findscu"], model, "-X", "-od", answers, "-aec", server.ae_title, *server.address,
        "-k", f"QueryRetrieveLevel={level}", *options,
    )  # fmt: skip
    assert len(list(answers.iterdir())) == matches


@pytest.mark.interop("storescu")
def test_a_stock_client_with_nagle_on_is_served(server: Server, dcmtk: dict[str, Path]) -> None:
    """`storescu` as Debian ships it, without TCP_NODELAY, stores too."""
    stock = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    done = subprocess.run(
        [dcmtk["storescu"], "-aec", server.ae_title, "+sd", *server.address, SERIES],
        capture_output=True, text=True, check=False, timeout=DEADLINE_S, env=stock,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.interop("storescu")
@pytest.mark.parametrize("syntax", ["-xe", "-xi"])
def test_storescu_may_send_again_what_is_stored(
    server: Server, dcmtk: dict[str, Path], syntax: str
) -> None:
    """It writes data sets anew, in another transfer syntax if it is told so: still the same."""
    run(PACS, "store", *server.address, SERIES, "--aec", server.ae_title)
    again = run(
        dcmtk["storescu"], "-v", syntax, "-aec", server.ae_title, "+sd", *server.address, SERIES
    )
    assert (again.stdout + again.stderr).count("Received Store Response (Success)") == 5


@pytest.mark.interop("storescp")
def test_pacs_echo_reaches_storescp(dcmtk: dict[str, Path], tmp_path: Path) -> None:
    """`pacs echo` is confirmed by `storescp`."""
    with storescp(dcmtk["storescp"], tmp_path) as peer:
        run(PACS, "echo", *peer.address, "--aec", peer.ae_title)


@pytest.mark.interop("storescp")
@pytest.mark.parametrize("options", [(), ("+xe",), ("+xi",)], ids=["any", "explicit", "implicit"])
def test_pacs_store_reaches_storescp(
    dcmtk: dict[str, Path], tmp_path: Path, options: tuple[str, ...]
) -> None:
    """`pacs store` delivers every value, re-encoded where the peer takes only Implicit VR."""
    received = tmp_path / "received"
    received.mkdir()
    with storescp(dcmtk["storescp"], received, *options) as peer:
        run(PACS, "store", *peer.address, SERIES, "--aec", peer.ae_title)
    assert by_uid(received) == by_uid(SERIES)


@pytest.mark.interop("dcmdump")
def test_what_is_stored_is_a_file_that_dcmdump_reads(
    server: Server, dcmtk: dict[str, Path], tmp_path: Path
) -> None:
    """A stored object is a conformant Part 10 file."""
    run(PACS, "store", *server.address, SERIES, "--aec", server.ae_title)
    stored = [path for path in (tmp_path / "archive").rglob("*.dcm") if path.is_file()]
    assert len(stored) == 5
    for path in stored:
        run(dcmtk["dcmdump"], "-q", path)
