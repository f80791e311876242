"""C-GET and C-MOVE with DCMTK, Orthanc and pynetdicom at the other end (PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

import importlib
import json
import os
import re
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import pydicom
import pytest

from benchmarks.launch import Launch
from benchmarks.peers import dcmqrscp, orthanc, qrscp, storescp
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.core.results import Failure, PacsResult
from pacs_sdk.encoding import Instance, instance_from_dataset
from pacs_sdk.integration.config import PacsConfig, StorageConfig
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import DicomServer, Peer, ServerConfig
from pacs_sdk.services import (
    Destination,
    InformationModel,
    InMemory,
    QueryScu,
    ReceiveHere,
    RetrieveScu,
    StorageScp,
    StorageScu,
    VerificationScp,
)
from tests.network.tls_peers import Pki

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
PATIENT_ROOT, STUDY_ROOT, PATIENT_STUDY_ONLY = InformationModel
ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}
DEADLINE_S = 60


def made(patient: str, study: str, series: str, uid: str, sop_class: str = CT) -> Instance:
    """Make a small image that every archive takes."""
    return instance_from_dataset(
        DicomDataset(
            SOPClassUID=sop_class, SOPInstanceUID=uid, StudyInstanceUID=study,
            SeriesInstanceUID=series, PatientID=patient, PatientName=f"Doe^{patient}",
            StudyDate="20250131", StudyTime="101500", StudyID="1", AccessionNumber="A1",
            Modality="CT", SeriesNumber=1, InstanceNumber=int(uid.rpartition(".")[2]),
        )
    ).unwrap()  # fmt: skip


INSTANCES = [
    *(made("P1", "1.1", "1.1.1", f"1.1.1.{number}") for number in range(1, 5)),
    made("P1", "1.1", "1.1.2", "1.1.2.1", MR),
    made("P1", "1.2", "1.2.1", "1.2.1.1"),
    made("P2", "2.1", "2.1.1", "2.1.1.1"),
]
"""Two patients; of the first two studies, the first with a series of four CT and one of an MR."""

LEVELS: list[tuple[InformationModel, str, dict[str, Any], list[str]]] = [
    (PATIENT_ROOT, "PATIENT", {"PatientID": "P1"},
     ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4", "1.1.2.1", "1.2.1.1"]),
    (PATIENT_ROOT, "STUDY", {"PatientID": "P1", "StudyInstanceUID": "1.2"}, ["1.2.1.1"]),
    (PATIENT_STUDY_ONLY, "STUDY", {"PatientID": "P2", "StudyInstanceUID": "2.1"}, ["2.1.1.1"]),
    (STUDY_ROOT, "STUDY", {"StudyInstanceUID": "1.1"},
     ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4", "1.1.2.1"]),
    (STUDY_ROOT, "SERIES", {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.1.2"},
     ["1.1.2.1"]),
    (STUDY_ROOT, "IMAGE",
     {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.1.1",
      "SOPInstanceUID": ["1.1.1.2", "1.1.1.4"]},
     ["1.1.1.2", "1.1.1.4"]),
]  # fmt: skip
IDS = ["patient", "study of patient", "patient/study only", "study", "series", "images"]
FLAGS = {PATIENT_ROOT: "-P", STUDY_ROOT: "-S", PATIENT_STUDY_ONLY: "-O"}


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run(*command: object) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; what it prints is one text."""
    return subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=DEADLINE_S,
        env=ENVIRONMENT,
    )


def keys_of(level: str, keys: dict[str, Any]) -> list[str]:
    """Write an identifier as DCMTK's programs take it."""
    texts = {"QueryRetrieveLevel": level} | {
        name: "\\".join(value) if isinstance(value, list) else value for name, value in keys.items()
    }
    return [part for name, text in texts.items() for part in ("-k", f"{name}={text}")]


# -- DCMTK's clients ask us ------------------------------------------------------------------


@attrs.define
class Shelf:
    """Keeps what comes, or answers with a failure."""

    box: InMemory = attrs.field(factory=InMemory)
    failures: int = 0
    """How many are refused for want of room."""

    def keep(self, instance: Instance) -> PacsResult[object]:
        if self.failures:
            self.failures -= 1
            return Failure(PacsError(ErrorCode.STORE_OUT_OF_RESOURCES, "the disk is full"))
        return self.box.keep(instance)

    @property
    def uids(self) -> list[str]:
        """What it has."""
        return sorted(one.sop_instance_uid for one in self.box.instances)


@attrs.frozen
class Ours:
    """Our archive with the instances, and who it moves to."""

    pacs: Pacs
    shelf: Shelf
    movescu_port: int
    """Where the archive sends what is moved to MOVESCU."""

    @property
    def address(self) -> list[str]:
        """The two arguments that every client takes."""
        return ["127.0.0.1", str(self.pacs.port)]


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Ours]:
    """Run our archive; it knows a shelf that takes all, one that takes only MR, and more."""
    shelf, port = Shelf(), free_port()
    with ExitStack() as stack:
        everything = DicomServer(
            ServerConfig(port=0, ae_title="SHELF"), [StorageScp(shelf.keep), VerificationScp()]
        )
        only_mr = DicomServer(
            ServerConfig(port=0, ae_title="ONLYMR"), [StorageScp(shelf.keep, sop_classes=[MR])]
        )
        stack.enter_context(everything)
        stack.enter_context(only_mr)
        config = PacsConfig(
            server=ServerConfig(port=0, ae_title="ARCHIVE"),
            storage=StorageConfig(data_dir=tmp_path / "archive"),
            destinations=(
                Destination("SHELF", "127.0.0.1", everything.port, parallel=2),
                Destination("ONLYMR", "127.0.0.1", only_mr.port),
                Destination("MOVESCU", "127.0.0.1", port),
                Destination("DOWN", "127.0.0.1", 1),
            ),
        )
        pacs = stack.enter_context(Pacs.configured(config))
        for one in INSTANCES:
            pacs.archive.store(one).unwrap()
        yield Ours(pacs, shelf, port)


@pytest.mark.interop("movescu")
@pytest.mark.parametrize(("model", "level", "keys", "expected"), LEVELS, ids=IDS)
def test_movescu_at_every_level(
    ours: Ours,
    dcmtk: dict[str, Path],
    model: InformationModel,
    level: str,
    keys: dict[str, Any],
    expected: list[str],
) -> None:
    """`movescu` has us send to a third party, in each model."""
    done = run(
        dcmtk["movescu"], "-d", FLAGS[model], "-aem", "SHELF", *ours.address, *keys_of(level, keys)
    )
    assert done.returncode == 0, done.stdout
    assert ours.shelf.uids == expected
    assert final_status(done.stdout) == 0
    assert re.search(rf"Completed Suboperations\s*: {len(expected)}\b", done.stdout)


def final_status(text: str) -> int:
    """Read the last status that a program of DCMTK prints at debug level."""
    return int(re.findall(r"DIMSE Status\s*: 0x([0-9a-f]{4})", text)[-1], 16)


@pytest.mark.interop("movescu")
def test_movescu_receives_what_it_moves(ours: Ours, dcmtk: dict[str, Path], tmp_path: Path) -> None:
    """`movescu` listens for what it asked for, on a second association at the same time."""
    folder = tmp_path / "moved"
    folder.mkdir()
    done = run(
        dcmtk["movescu"], "-S", "-aem", "MOVESCU", "+P", ours.movescu_port, "-od", folder,
        *ours.address, *keys_of("STUDY", {"StudyInstanceUID": "1.1"}),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert sorted(str(pydicom.dcmread(path).SOPInstanceUID) for path in folder.iterdir()) == [
        "1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4", "1.1.2.1",
    ]  # fmt: skip


@pytest.mark.interop("getscu")
@pytest.mark.parametrize(("model", "level", "keys", "expected"), LEVELS, ids=IDS)
def test_getscu_at_every_level(
    ours: Ours,
    dcmtk: dict[str, Path],
    tmp_path: Path,
    model: InformationModel,
    level: str,
    keys: dict[str, Any],
    expected: list[str],
) -> None:
    """`getscu` takes its own storage contexts, and gets each image over one of them."""
    folder = tmp_path / "got"
    folder.mkdir()
    done = run(dcmtk["getscu"], FLAGS[model], "-od", folder, *ours.address, *keys_of(level, keys))
    assert done.returncode == 0, done.stdout
    found = sorted(str(pydicom.dcmread(path).SOPInstanceUID) for path in folder.iterdir())
    assert found == expected


@pytest.mark.interop("movescu")
@pytest.mark.parametrize(
    ("destination", "full", "keys", "status", "kept"),
    [
        ("NOBODY", 0, {"StudyInstanceUID": "1.1"}, 0xA801, []),
        ("DOWN", 0, {"StudyInstanceUID": "1.1"}, 0xA702, []),
        ("ONLYMR", 0, {"StudyInstanceUID": "1.1"}, 0xB000, ["1.1.2.1"]),
        ("ONLYMR", 0, {"StudyInstanceUID": "1.2"}, 0xA702, []),
        ("SHELF", 5, {"StudyInstanceUID": "1.1"}, 0xA702, []),
        ("SHELF", 1, {"StudyInstanceUID": "1.1"}, 0xB000, None),
        ("SHELF", 0, {"StudyInstanceUID": "9.9"}, 0x0000, []),
        ("SHELF", 0, {"StudyInstanceUID": ""}, 0xA900, []),
        ("SHELF", 0, {"SeriesInstanceUID": "1.1.1"}, 0xA900, []),
    ],
    ids=[
        "unknown destination", "destination down", "refuses CT", "refuses all", "full",
        "full for one", "no such study", "no key", "wrong key",
    ],
)  # fmt: skip
def test_what_goes_wrong_has_the_status_of_the_table(
    ours: Ours,
    dcmtk: dict[str, Path],
    destination: str,
    full: int,
    keys: dict[str, Any],
    status: int,
    kept: list[str] | None,
) -> None:
    """Each failure ends with its status (PS3.4 Table C.4-2), and with the rest delivered."""
    ours.shelf.failures = full
    done = run(
        dcmtk["movescu"], "-d", "-S", "-aem", destination, *ours.address, *keys_of("STUDY", keys)
    )
    assert final_status(done.stdout) == status, done.stdout
    if kept is None:
        assert len(ours.shelf.uids) == 4
    else:
        assert ours.shelf.uids == kept


@pytest.mark.interop("movescu")
def test_movescu_cancels(ours: Ours, dcmtk: dict[str, Path]) -> None:
    """A C-CANCEL after the first Pending response ends the C-MOVE, with or without a rest."""
    done = run(
        dcmtk["movescu"], "-d", "-S", "--cancel", "1", "-aem", "SHELF", *ours.address,
        *keys_of("STUDY", {"StudyInstanceUID": "1.1"}),
    )  # fmt: skip
    assert final_status(done.stdout) in (0xFE00, 0x0000), done.stdout
    assert len(ours.shelf.uids) <= 5


# -- we ask DCMTK's dcmqrscp, Orthanc and pynetdicom's qrscp -----------------------------------

_REFUSED = (
    ErrorCode.PRESENTATION_CONTEXT_REFUSED,
    ErrorCode.RETRIEVE_FAILED,
    ErrorCode.MOVE_DESTINATION_UNKNOWN,  # A801H: what qrscp's C-MOVE says when it fails
)

ARCHIVES = [
    pytest.param("dcmqrscp", marks=pytest.mark.interop("dcmqrscp")),
    pytest.param("orthanc", marks=pytest.mark.interop("Orthanc")),
    pytest.param("qrscp", marks=pytest.mark.slow),
]


@attrs.frozen
class Theirs:
    """An archive of somebody else that has the instances."""

    name: str
    peer: Peer
    port: int
    """Where it sends what is moved to ME."""

    def can(self, model: InformationModel, keys: dict[str, Any]) -> bool:
        """Tell whether it has the retired model; pynetdicom's qrscp fails on lists of UIDs."""
        if self.name == "dcmqrscp":
            return True
        has_list = any(isinstance(value, list) for value in keys.values())
        return model is not PATIENT_STUDY_ONLY and not (self.name == "qrscp" and has_list)


@pytest.fixture(scope="module", params=ARCHIVES)
def theirs(request: pytest.FixtureRequest) -> Iterator[Theirs]:
    """Run an archive of somebody else that knows us as ME."""
    port = free_port()
    me = Peer("127.0.0.1", port, "ME")
    launch: Launch | None
    if request.param == "dcmqrscp":
        launch, title = dcmqrscp(destinations=[me]), "DCMQRSCP"
    elif request.param == "orthanc":
        launch, title = orthanc("Orthanc", modalities=[me]), "ORTHANC"
    else:
        launch, title = qrscp(destinations=[me]), "QRSCP"
    assert launch is not None
    with launch.running() as server:
        peer = Peer("127.0.0.1", server.port, title)
        assert StorageScu().store(peer, INSTANCES).unwrap().failures == ()
        yield Theirs(request.param, peer, port)


@pytest.mark.parametrize(("model", "level", "keys", "expected"), LEVELS, ids=IDS)
def test_we_get_at_every_level(
    theirs: Theirs,
    model: InformationModel,
    level: str,
    keys: dict[str, Any],
    expected: list[str],
) -> None:
    """Our C-GET brings the same from every archive, or the reason why not."""
    box = InMemory()
    wanted = DicomDataset(None, QueryRetrieveLevel=level, **keys)
    result = RetrieveScu(ae_title="ME").get(theirs.peer, wanted, box.keep, model=model)
    if not theirs.can(model, keys):
        assert result.failure().code in _REFUSED
        return
    report = result.unwrap()
    assert sorted(one.sop_instance_uid for one in box.instances) == expected
    assert (report.received, report.failed, report.status) == (len(expected), 0, 0)


@pytest.mark.parametrize(("model", "level", "keys", "expected"), LEVELS, ids=IDS)
def test_we_move_to_ourselves_at_every_level(
    theirs: Theirs,
    model: InformationModel,
    level: str,
    keys: dict[str, Any],
    expected: list[str],
) -> None:
    """Our C-MOVE brings the same to the Storage SCP that listens meanwhile, or says why not."""
    box = InMemory()
    wanted = DicomDataset(None, QueryRetrieveLevel=level, **keys)
    receive = ReceiveHere(box.keep, theirs.port)
    scu = RetrieveScu(ae_title="ME")
    result = scu.move(theirs.peer, wanted, "ME", receive=receive, model=model)
    if not theirs.can(model, keys):
        assert result.failure().code in _REFUSED
        return
    report = result.unwrap()
    assert sorted(one.sop_instance_uid for one in box.instances) == expected
    assert (report.received, report.failed, report.status) == (len(expected), 0, 0)


def test_what_we_refuse_is_counted(theirs: Theirs) -> None:
    """One instance that cannot be kept is one failure, and the rest comes (B000H)."""
    shelf = Shelf(failures=1)
    wanted = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.1")
    report = RetrieveScu(ae_title="ME").get(theirs.peer, wanted, shelf.keep).unwrap()
    assert (report.received, report.completed, report.failed) == (4, 4, 1)
    assert (report.status, report.missing, report.is_complete) == (0xB000, 0, False)
    assert len(shelf.uids) == 4


def test_their_unknown_destination_is_a_failure_of_ours(theirs: Theirs) -> None:
    """Whatever status an archive has for it, it is a failure in words."""
    wanted = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.1")
    error = RetrieveScu(ae_title="ME").move(theirs.peer, wanted, "NOBODY").failure()
    assert error.code in (ErrorCode.MOVE_DESTINATION_UNKNOWN, ErrorCode.RETRIEVE_FAILED)
    assert "answered the C-MOVE with status" in error.message


@pytest.mark.parametrize("operation", ["get", "move"])
def test_we_cancel(theirs: Theirs, operation: str) -> None:
    """Our C-CANCEL ends in a report, whether the archive heeds it or is done before."""
    box = InMemory()
    wanted = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.1")
    scu = RetrieveScu(ae_title="ME")
    if operation == "get":
        result = scu.get(theirs.peer, wanted, box.keep, cancel=lambda: True)
    else:
        receive = ReceiveHere(box.keep, theirs.port)
        result = scu.move(theirs.peer, wanted, "ME", receive=receive, cancel=lambda: True)
    report = result.unwrap()
    assert report.received == len(box.instances) <= 5
    assert report.is_cancelled or report.received == 5


# -- Orthanc moves from us, and we to it -------------------------------------------------------


@pytest.mark.interop("Orthanc")
def test_orthanc_retrieves_from_us(tmp_path: Path) -> None:
    """Orthanc queries us by its REST interface, and has what it found moved to itself."""
    port, http_port = free_port(), free_port()
    config = PacsConfig(
        server=ServerConfig(port=0, ae_title="ARCHIVE"),
        storage=StorageConfig(data_dir=tmp_path / "archive"),
        destinations=(Destination("ORTHANC", "127.0.0.1", port),),
    )
    with Pacs.configured(config) as pacs:
        for one in INSTANCES:
            pacs.archive.store(one).unwrap()
        launch = orthanc("Orthanc", modalities=[pacs.peer], http_port=http_port)
        assert launch is not None
        with attrs.evolve(launch, port=port).running():
            found = rest(
                http_port, "/modalities/ARCHIVE/query",
                {"Level": "Study", "Query": {"StudyInstanceUID": "1.1"}},
            )  # fmt: skip
            answer = rest(
                http_port, f"/queries/{found['ID']}/retrieve",
                {"TargetAet": "ORTHANC", "Synchronous": True},
            )  # fmt: skip
            assert answer
            theirs = Peer("127.0.0.1", port, "ORTHANC")
            assert count_images(theirs, "1.1") == 5
            # and a study of ours that we move there ourselves
            wanted = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2")
            report = RetrieveScu().move(pacs.peer, wanted, "ORTHANC").unwrap()
            assert (report.completed, report.status) == (1, 0)
            assert count_images(theirs, "1.2") == 1


def rest(http_port: int, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Ask Orthanc's REST interface."""
    request = urllib.request.Request(  # of this machine
        f"http://127.0.0.1:{http_port}{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=DEADLINE_S) as response:  # noqa: S310
        answer: dict[str, Any] = json.loads(response.read() or b"{}")
        return answer


def count_images(peer: Peer, study: str) -> int:
    """Ask an archive how many images of a study it has."""
    question = DicomDataset(
        QueryRetrieveLevel="IMAGE", StudyInstanceUID=study, SeriesInstanceUID="", SOPInstanceUID=""
    )
    return len(QueryScu().find(peer, question).unwrap())


# -- pynetdicom's clients ask us -----------------------------------------------------------------


def test_pynetdicom_gets_and_moves(ours: Ours) -> None:
    """Pynetdicom's C-GET takes everything, and its C-MOVE has it sent to a third party."""
    pynetdicom = importlib.import_module("pynetdicom")
    got: list[str] = []

    def on_store(event: Any) -> int:
        got.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    entity = pynetdicom.AE("PYNETDICOM")
    entity.add_requested_context(STUDY_ROOT.get)
    entity.add_requested_context(STUDY_ROOT.move)
    for sop_class in (CT, MR):
        entity.add_requested_context(sop_class)
    roles = [pynetdicom.build_role(uid, scp_role=True) for uid in (CT, MR)]
    association = entity.associate(
        "127.0.0.1",
        ours.pacs.port,
        ext_neg=roles,
        evt_handlers=[(pynetdicom.evt.EVT_C_STORE, on_store)],
    )
    assert association.is_established
    wanted = pydicom.Dataset()
    wanted.QueryRetrieveLevel, wanted.StudyInstanceUID = "STUDY", "1.1"
    answers = [status.Status for status, _ in association.send_c_get(wanted, STUDY_ROOT.get)]
    assert answers[-1] == 0
    assert sorted(got) == ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4", "1.1.2.1"]
    answers = [
        status.Status for status, _ in association.send_c_move(wanted, "SHELF", STUDY_ROOT.move)
    ]
    assert answers[-1] == 0
    assert ours.shelf.uids == sorted(got)
    (answer,) = association.send_c_move(wanted, "NOBODY", STUDY_ROOT.move)
    assert answer[0].Status == 0xA801
    association.release()


# -- TLS ----------------------------------------------------------------------------------------


@pytest.mark.interop("storescp")
@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "not trusted"])
def test_a_destination_over_tls(tmp_path: Path, trusted: bool) -> None:
    """Sub-operations go to DCMTK's `storescp` over TLS, unless its certificate is not trusted."""
    pki = Pki.make(tmp_path)
    tls = ["+tls", str(pki.server.private_key), str(pki.server.certificate)]
    launch = storescp("storescp", *tls, "-ic", "--fork")
    assert launch is not None
    client = pki.client_tls if trusted else attrs.evolve(
        pki.client_tls, ca=pki.other_ca.certificate
    )  # fmt: skip
    with launch.running() as server:
        config = PacsConfig(
            server=ServerConfig(port=0, ae_title="ARCHIVE"),
            storage=StorageConfig(data_dir=tmp_path / "archive"),
            destinations=(Destination("SECURE", "127.0.0.1", server.port, client),),
        )
        with Pacs.configured(config) as pacs:
            pacs.archive.store(INSTANCES[0]).unwrap()
            wanted = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.1")
            report = RetrieveScu().move(pacs.peer, wanted, "SECURE").unwrap()
    if trusted:
        assert (report.completed, report.status) == (1, 0), report.comment
    else:
        assert (report.failed, report.status) == (1, 0xA702)
