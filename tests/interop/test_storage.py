"""C-STORE with DCMTK, Orthanc and pynetdicom at the other end, in both roles (PS3.4 Annex B)."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pydicom.data
import pytest
from pydicom.uid import UID

from benchmarks.launch import Launch, Running
from benchmarks.peers import orthanc
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.uids import new_uid
from pacs_sdk.encoding import (
    Instance,
    TransferSyntax,
    decode_frames,
    read_file,
    transcode,
    transfer_syntax,
    write_file,
)
from pacs_sdk.integration.config import PacsConfig, ServicesConfig, StorageConfig
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import (
    BackgroundServer,
    DicomServer,
    Driver,
    Peer,
    RetryPolicy,
    ServerConfig,
)
from pacs_sdk.services import (
    BeforeStore,
    Coerce,
    IncomingInstance,
    QueryScu,
    Refuse,
    StorageScp,
    StorageScu,
    StoreOutcome,
    StoreVerdict,
    TranscodePolicy,
    Warn,
)
from pacs_sdk.storage import Archive, Durability, Query, open_archive

TEST_FILES = Path(pydicom.data.__file__).parent / "test_files"
SERIES = TEST_FILES / "dicomdirtests/98892001/CT5N"
SMALL = TEST_FILES / "CT_small.dcm"
COLOUR = TEST_FILES / "SC_rgb_small_odd.dcm"
ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}
DEADLINE_S = 60


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


def syntax(keyword: str) -> TransferSyntax:
    """Look a transfer syntax up by its keyword."""
    return transfer_syntax(keyword).unwrap()


def encoded(keyword: str, folder: Path, source: Path = SMALL) -> Path:
    """Write an image in a transfer syntax."""
    instance = transcode(
        read_file(source).unwrap(), syntax(keyword), new_sop_instance_uid=False
    ).unwrap()
    return write_file(instance, folder / f"{keyword}.dcm").unwrap()


def pixels(source: Instance | Path) -> np.ndarray:
    """Decode an image."""
    return decode_frames(source).unwrap()


def everything(archive: Archive) -> list[Instance]:
    """Open all that is stored."""
    return list(archive.instances(Query.of("STUDY").unwrap()).unwrap())


# -- DCMTK's storescu sends to us ------------------------------------------------------------


@pytest.fixture(scope="module", params=list(Driver), ids=lambda driver: str(driver.value))
def pacs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pacs]:
    """Run a PACS with each driver, for all tests that send images of their own."""
    config = PacsConfig(
        server=ServerConfig(port=0, driver=request.param),
        storage=StorageConfig(tmp_path_factory.mktemp("archive"), Durability.RELAXED),
    )
    with Pacs.configured(config) as running:
        yield running


SENT = [
    # option of storescu, transfer syntax of the file, transfer syntax on the way
    ("-x=", "ExplicitVRLittleEndian", "ExplicitVRLittleEndian"),
    ("-xe", "ExplicitVRLittleEndian", "ExplicitVRLittleEndian"),
    ("-xe", "ImplicitVRLittleEndian", "ExplicitVRLittleEndian"),
    ("-xb", "ExplicitVRBigEndian", "ExplicitVRBigEndian"),
    ("-xi", "ImplicitVRLittleEndian", "ImplicitVRLittleEndian"),
    ("-xi", "ExplicitVRLittleEndian", "ImplicitVRLittleEndian"),
    ("-xd", "DeflatedExplicitVRLittleEndian", "DeflatedExplicitVRLittleEndian"),
    ("-xs", "JPEGLosslessSV1", "JPEGLosslessSV1"),
    ("-xv", "JPEG2000Lossless", "JPEG2000Lossless"),
    ("-xw", "JPEG2000", "JPEG2000"),
    ("-xt", "JPEGLSLossless", "JPEGLSLossless"),
    ("-xu", "JPEGLSNearLossless", "JPEGLSNearLossless"),
    ("-xr", "RLELossless", "RLELossless"),
    ("-xx", "JPEGExtended12Bit", "JPEGExtended12Bit"),
]


@pytest.mark.interop("storescu")
@pytest.mark.parametrize("combined", [(), ("+C",)], ids=["separate", "combined"])
@pytest.mark.parametrize(("option", "stored", "sent"), SENT)
def test_storescu_sends(
    pacs: Pacs,
    dcmtk: dict[str, Path],
    tmp_path: Path,
    option: str,
    stored: str,
    sent: str,
    combined: tuple[str, ...],
) -> None:
    """What arrives is kept in the transfer syntax it was sent in; its pixels are the same."""
    source = TEST_FILES / "JPGExtended.dcm" if stored == "JPEGExtended12Bit" else SMALL
    plain = read_file(source).unwrap().dataset().unwrap()
    plain["SOPInstanceUID"] = uid = new_uid()
    write_file(plain, tmp_path / "made.dcm").unwrap()
    path = encoded(stored, tmp_path, tmp_path / "made.dcm")
    done = run(
        dcmtk["storescu"], "-v", "-R", option, *combined, "-aec", "PACS_SCP", "127.0.0.1",
        pacs.port, path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    kept = pacs.archive.open(uid).unwrap()
    assert kept.transfer_syntax_uid == syntax(sent).uid
    assert pixels(kept).tolist() == pixels(path).tolist()


@attrs.frozen
class Served:
    """A Storage SCP with a hook, and what it keeps."""

    archive: Archive
    port: int


@contextlib.contextmanager
def hooked(
    driver: type[DicomServer | BackgroundServer], folder: Path, *hooks: BeforeStore
) -> Iterator[Served]:
    """Serve an archive behind hooks."""
    with open_archive(folder, durability=Durability.RELAXED).unwrap() as archive:
        scp = StorageScp(archive.store, receive=archive.receive, before_store=hooks)
        with driver(ServerConfig(port=0), [scp]) as server:
            yield Served(archive, server.port)


def statuses_told(output: str) -> list[int]:
    """Take the statuses out of what storescu -d prints of responses."""
    return [int(text, 16) for text in re.findall(r"DIMSE Status +: 0x([0-9a-f]{4})", output)]


VERDICTS: list[tuple[StoreVerdict, int, str]] = [
    (None, 0x0000, "Success"),
    (Refuse(0xA700, "no room"), 0xA700, "Refused: Out of resources"),
    (Refuse(0xA900, "no CT"), 0xA900, "Error: Data Set does not match SOP Class"),
    (Refuse(0xC001, "not ours"), 0xC001, "Error: Cannot understand"),
    (Refuse(0x0124, "not you"), 0x0124, "Refused: Not authorized"),
    (Warn(0xB007, "odd"), 0xB007, "Warning: Data Set does not match SOP Class"),
    (Coerce({"PatientID": "X"}, comment="changed"), 0xB000, "Warning: Coercion of Data Elements"),
    (Warn(0xB006, "less"), 0xB006, "Warning: Elements Discarded"),
]


@pytest.mark.interop("storescu")
@pytest.mark.parametrize("driver", [DicomServer, BackgroundServer], ids=["threaded", "asyncio"])
@pytest.mark.parametrize(("verdict", "status", "words"), VERDICTS, ids=lambda one: str(one)[:20])
def test_storescu_reads_our_statuses(
    dcmtk: dict[str, Path],
    tmp_path: Path,
    driver: type[DicomServer | BackgroundServer],
    verdict: StoreVerdict,
    status: int,
    words: str,
) -> None:
    """DCMTK puts each into the words of PS3.4 Table B.2-1, and shows the comment."""
    with hooked(driver, tmp_path / "archive", lambda _: verdict) as served:
        done = run(
            dcmtk["storescu"], "-d", "-nh", "+sd", "-aec", "ANY", "127.0.0.1", served.port, SERIES
        )
        kept = len(everything(served.archive))
    assert statuses_told(done.stdout) == [status] * 5
    assert words.lower() in done.stdout.lower()
    assert kept == (0 if isinstance(verdict, Refuse) else 5)
    comment = getattr(verdict, "comment", "")
    assert comment in done.stdout


@pytest.mark.interop("storescu")
def test_storescu_and_a_hook_that_crashes(dcmtk: dict[str, Path], tmp_path: Path) -> None:
    """Each image gets 0110H over one association; nothing is kept."""

    def crash(_: object) -> StoreVerdict:
        raise KeyError("a bug")

    with hooked(DicomServer, tmp_path / "archive", crash) as served:
        done = run(
            dcmtk["storescu"], "-d", "-nh", "+sd", "-aec", "ANY", "127.0.0.1", served.port, SERIES
        )
        assert everything(served.archive) == []
    assert statuses_told(done.stdout) == [0x0110] * 5
    assert "Releasing Association" in done.stdout


@pytest.mark.interop("storescu")
def test_storescu_is_refused_a_sop_class(dcmtk: dict[str, Path], tmp_path: Path) -> None:
    """A PACS for MR has no presentation context for CT, and storescu says so."""
    config = PacsConfig(
        server=ServerConfig(port=0),
        storage=StorageConfig(tmp_path),
        services=ServicesConfig(storage_sop_classes=("MR",)),
    )
    with Pacs.configured(config) as pacs:
        done = run(dcmtk["storescu"], "-v", "-R", "-aec", "ANY", "127.0.0.1", pacs.port, SMALL)
        assert everything(pacs.archive) == []
    assert done.returncode != 0
    assert "No Acceptable Presentation Contexts" in done.stdout


@pytest.mark.interop("storescu")
def test_storescu_fills_the_disk(dcmtk: dict[str, Path], tmp_path: Path) -> None:
    """A700H while it is full; what was acknowledged is there, and after that all goes on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk)
    if mounted.returncode:
        pytest.skip("this machine does not let a test mount a file system")
    try:
        with open_archive(disk / "pacs").unwrap() as archive:
            scp = StorageScp(archive.store, receive=archive.receive)
            with DicomServer(ServerConfig(port=0), [scp]) as server:
                send = (
                    dcmtk["storescu"], "-d", "-nh", "+sd", "-aec", "ANY", "127.0.0.1", server.port,
                    SERIES,
                )  # fmt: skip
                (disk / "ballast").write_bytes(bytes(shutil.disk_usage(disk).free - 3 * 8192))
                told = statuses_told(run(*send).stdout)
                assert len(told) == 5
                assert 0xA700 in told
                assert set(told) <= {0, 0xA700}
                assert len(everything(archive)) >= told.count(0)
                (disk / "ballast").unlink()
                assert statuses_told(run(*send).stdout) == [0] * 5
            assert len(everything(archive)) == 5
    finally:
        run("umount", "-l", disk)


# -- we send to DCMTK's storescp -------------------------------------------------------------


def storescp(program: Path, folder: Path, *options: str, port: int | None = None) -> Launch:
    """Run DCMTK's storescp; it writes to the folder."""
    folder.mkdir(exist_ok=True)

    def command(_: Path, free: int) -> list[str]:
        return [str(program), *options, "-od", str(folder), str(free)]

    return Launch("storescp", command, environment={"TCP_NODELAY": "1"}, port=port)


def received(folder: Path) -> list[Instance]:
    """Read what storescp has written."""
    return [read_file(path).unwrap() for path in sorted(folder.iterdir())]


def peer_of(server: Running) -> Peer:
    """Address a server."""
    return Peer("127.0.0.1", server.port, "STORESCP")


RECEIVED = [
    # options of storescp, transfer syntax of the file, transfer syntax on the way
    (("+xi",), "ExplicitVRLittleEndian", "ImplicitVRLittleEndian"),
    (("+xi",), "JPEG2000Lossless", "ImplicitVRLittleEndian"),
    (("+xi",), "RLELossless", "ImplicitVRLittleEndian"),
    (("+xi",), "ExplicitVRBigEndian", "ImplicitVRLittleEndian"),
    (("+xe",), "ImplicitVRLittleEndian", "ImplicitVRLittleEndian"),
    (("+xe",), "JPEGLSLossless", "ExplicitVRLittleEndian"),
    (("+xe",), "HTJ2KLossless", "ExplicitVRLittleEndian"),
    (("+xs",), "JPEGLosslessSV1", "JPEGLosslessSV1"),
    (("+xs",), "JPEG2000Lossless", "ExplicitVRLittleEndian"),
    (("+xv",), "JPEG2000Lossless", "JPEG2000Lossless"),
    (("+xr",), "RLELossless", "RLELossless"),
    (("+xt",), "JPEGLSLossless", "JPEGLSLossless"),
    (("+xd",), "DeflatedExplicitVRLittleEndian", "DeflatedExplicitVRLittleEndian"),
    (("+xa",), "JPEGLSLossless", "JPEGLSLossless"),
    (("+xa",), "JPEGXLLossless", "ExplicitVRLittleEndian"),
]


@pytest.mark.interop("storescp")
@pytest.mark.parametrize(("options", "stored", "sent"), RECEIVED)
def test_storescp_takes_what_we_re_encode(
    dcmtk: dict[str, Path], tmp_path: Path, options: tuple[str, ...], stored: str, sent: str
) -> None:
    """The stored transfer syntax where it is accepted, else one without loss; pixels are equal."""
    path = encoded(stored, tmp_path)
    folder = tmp_path / "received"
    with storescp(dcmtk["storescp"], folder, "+B", *options).running() as server:
        (outcome,) = StorageScu().store(peer_of(server), path).unwrap().outcomes
    assert (outcome.status, outcome.transfer_syntax_uid) == (0, syntax(sent).uid)
    assert outcome.was_reencoded is (stored != sent)
    (kept,) = received(folder)
    assert kept.transfer_syntax_uid == syntax(sent).uid
    assert kept.sop_instance_uid == read_file(path).unwrap().sop_instance_uid
    assert pixels(kept).tolist() == pixels(SMALL).tolist()


def only(uid: str, folder: Path) -> tuple[str, ...]:
    """Have storescp take CT images in one transfer syntax."""
    path = folder / "storescp.cfg"
    path.write_text(
        f"[[TransferSyntaxes]]\n[Only]\nTransferSyntax1 = {uid}\n"
        "[[PresentationContexts]]\n[Images]\nPresentationContext1 = CTImageStorage\\Only\n"
        "PresentationContext2 = SecondaryCaptureImageStorage\\Only\n"
        "[[Profiles]]\n[Default]\nPresentationContexts = Images\n"
    )
    return "-xf", str(path), "Default"


@pytest.mark.interop("storescp")
@pytest.mark.parametrize("keyword", ["JPEGLosslessSV1", "JPEG2000Lossless", "RLELossless"])
def test_storescp_that_takes_compressed_images_only(
    dcmtk: dict[str, Path], tmp_path: Path, keyword: str
) -> None:
    """An uncompressed image is compressed without loss; NEVER leaves it unsent."""
    folder = tmp_path / "received"
    options = only(syntax(keyword).uid, tmp_path)
    with storescp(dcmtk["storescp"], folder, "+B", *options).running() as server:
        never = StorageScu(transcode=TranscodePolicy.NEVER)
        (refused,) = never.store(peer_of(server), SMALL).unwrap().outcomes
        (outcome,) = StorageScu().store(peer_of(server), SMALL).unwrap().outcomes
    assert refused.error is ErrorCode.PRESENTATION_CONTEXT_REFUSED
    assert (outcome.status, outcome.was_reencoded) == (0, True)
    (kept,) = received(folder)
    assert kept.transfer_syntax_uid == syntax(keyword).uid
    assert pixels(kept).tolist() == pixels(SMALL).tolist()


@pytest.mark.interop("storescp", "dcmdump")
@pytest.mark.parametrize(("source", "keyword"), [(COLOUR, "JPEGBaseline8Bit"), (SMALL, "JPEG2000")])
def test_storescp_that_takes_lossy_images_only(
    dcmtk: dict[str, Path], tmp_path: Path, source: Path, keyword: str
) -> None:
    """With loss only where that is allowed, and then as a derived image with its own UID."""
    folder = tmp_path / "received"
    options = only(syntax(keyword).uid, tmp_path)
    with storescp(dcmtk["storescp"], folder, "+B", *options).running() as server:
        (refused,) = StorageScu().store(peer_of(server), source).unwrap().outcomes
        lossy = StorageScu(transcode=TranscodePolicy.LOSSY)
        (outcome,) = lossy.store(peer_of(server), source).unwrap().outcomes
    assert refused.error is ErrorCode.PRESENTATION_CONTEXT_REFUSED
    (kept,) = received(folder)
    assert kept.sop_instance_uid == outcome.sent_sop_instance_uid != outcome.sop_instance_uid
    dumped = run(dcmtk["dcmdump"], next(folder.iterdir())).stdout
    assert "LossyImageCompression" in dumped
    assert "DERIVED" in dumped


@pytest.mark.interop("storescp")
def test_storescp_refuses_the_association(dcmtk: dict[str, Path], tmp_path: Path) -> None:
    """Nothing could be sent: one reason, and no outcome."""
    with storescp(dcmtk["storescp"], tmp_path / "received", "--refuse").running() as server:
        error = StorageScu().store(peer_of(server), SERIES).failure()
    assert error.code is ErrorCode.ASSOCIATION_REJECTED


@pytest.mark.interop("storescp")
@pytest.mark.parametrize("when", ["--abort-during", "--abort-after"])
@pytest.mark.parametrize("window", [1, 4])
def test_storescp_aborts_every_association(
    dcmtk: dict[str, Path], tmp_path: Path, when: str, window: int
) -> None:
    """It ends after as many fruitless associations as were wanted; each image has an outcome."""
    scu = StorageScu(window=window, retry=RetryPolicy(attempts=3, first_delay_s=0.01))
    with storescp(dcmtk["storescp"], tmp_path / "received", when).running() as server:
        report = scu.store(peer_of(server), SERIES).unwrap()
    assert len(report.outcomes) == 5
    assert {one.error for one in report.outcomes} == {ErrorCode.ASSOCIATION_ABORTED}
    assert sum(one.attempts for one in report.outcomes) == 3


@pytest.mark.interop("storescp")
@pytest.mark.parametrize("parallel", [1, 3])
def test_storescp_dies_half_way_and_comes_back(
    dcmtk: dict[str, Path], tmp_path: Path, parallel: int
) -> None:
    """What it acknowledged is in the resume list; a second run sends the rest, and only that."""
    many = tmp_path / "many"
    many.mkdir()
    for number in range(40):
        dataset = read_file(SMALL).unwrap().dataset().unwrap()
        dataset["SOPInstanceUID"] = new_uid()
        write_file(dataset, many / f"{number:02}.dcm").unwrap()
    folder, resume = tmp_path / "received", tmp_path / "list.txt"
    scu = StorageScu(parallel=parallel, retry=RetryPolicy(attempts=2, first_delay_s=0.01))
    launch = storescp(dcmtk["storescp"], folder, "--fork")
    with launch.running() as server:
        peer = peer_of(server)
        seen: list[StoreOutcome] = []

        def kill_after_ten(outcome: StoreOutcome) -> None:
            seen.append(outcome)
            if len(seen) == 10:
                _kill_with_children(server.process_id)

        first = scu.store(peer, many, kill_after_ten, resume=resume).unwrap()
    assert len(first.outcomes) == len(seen) == 40
    assert 10 <= first.stored <= 10 + parallel
    assert {one.error for one in first.failures} <= {
        ErrorCode.ASSOCIATION_ABORTED,
        ErrorCode.CONNECTION_FAILED,
    }
    with attrs.evolve(launch, port=peer.port).running():
        second = scu.store(peer, many, resume=resume).unwrap()
    assert second.stored == 40
    assert sum(one.stored_before for one in second.outcomes) == first.stored
    assert {one.sop_instance_uid for one in received(folder)} == {
        one.sop_instance_uid for one in second.outcomes
    }


def _kill_with_children(process_id: int) -> None:
    """Kill a server that we started, and the processes that it forked."""
    children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
    for one in (process_id, *map(int, children)):
        os.kill(one, signal.SIGKILL)


# -- we send to Orthanc ----------------------------------------------------------------------


@pytest.mark.interop("Orthanc")
def test_orthanc_takes_everything(tmp_path: Path) -> None:
    """Images in many transfer syntaxes over several associations are all found there."""
    keywords = [
        "ExplicitVRLittleEndian",
        "ImplicitVRLittleEndian",
        "ExplicitVRBigEndian",
        "DeflatedExplicitVRLittleEndian",
        "JPEGLosslessSV1",
        "JPEGLSLossless",
        "JPEG2000Lossless",
        "RLELossless",
    ]
    sent = []
    for keyword in keywords:
        dataset = read_file(SMALL).unwrap().dataset().unwrap()
        dataset["SOPInstanceUID"] = new_uid()
        plain = write_file(dataset, tmp_path / "plain.dcm").unwrap()
        sent.append(transcode(read_file(plain).unwrap(), keyword).unwrap())
        sent[-1] = read_file(write_file(sent[-1], tmp_path / f"{keyword}.dcm").unwrap()).unwrap()
    launch = orthanc("Orthanc")
    assert launch is not None
    with launch.running() as server:
        peer = Peer("127.0.0.1", server.port, "ORTHANC")
        report = StorageScu(parallel=3, window=4).store(peer, [*sent, SERIES]).unwrap()
        question = pydicom.Dataset()
        question.QueryRetrieveLevel = "IMAGE"
        question.StudyInstanceUID = question.SeriesInstanceUID = question.SOPInstanceUID = ""
        found = {str(one["SOPInstanceUID"]) for one in QueryScu().find(peer, question).unwrap()}
    assert report.failures == ()
    assert found == {one.sop_instance_uid for one in report.outcomes}


@pytest.mark.interop("Orthanc")
def test_orthanc_answers_a_broken_object(tmp_path: Path) -> None:
    """What it cannot file is a failure with its status; the association and the others go on."""
    good = read_file(SMALL).unwrap()
    bad = attrs.evolve(good, sop_instance_uid=new_uid(), encoded=good.encoded.slice(0, 300))
    launch = orthanc("Orthanc")
    assert launch is not None
    with launch.running() as server:
        peer = Peer("127.0.0.1", server.port, "ORTHANC")
        report = StorageScu().store(peer, [bad, good]).unwrap()
    assert [one.is_stored for one in report.outcomes] == [False, True]


def _rest(http_port: int, path: str, body: object) -> Any:
    """Ask Orthanc's REST interface; what it answers, an error too."""
    request = urllib.request.Request(  # of this machine
        f"http://127.0.0.1:{http_port}{path}", data=json.dumps(body).encode()
    )
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as response:  # noqa: S310
            return json.loads(response.read())
    except urllib.error.HTTPError as exc:
        with exc:
            return json.loads(exc.read())


@pytest.mark.interop("Orthanc")
@pytest.mark.parametrize("driver", [DicomServer, BackgroundServer], ids=["threaded", "asyncio"])
def test_orthanc_sends_to_us(tmp_path: Path, driver: type[DicomServer | BackgroundServer]) -> None:
    """What it sends is kept as it was encoded; what we refuse is a failure there, with our words."""
    keywords = ["ExplicitVRLittleEndian", "JPEGLosslessSV1", "JPEG2000Lossless"]
    uids = {keyword: new_uid() for keyword in keywords}
    refused = uids["JPEG2000Lossless"]

    def judge(incoming: IncomingInstance) -> StoreVerdict:
        if incoming.instance.sop_instance_uid == refused:
            return Refuse(0xA700, "no room for this one")
        return None

    sent = []
    for keyword, uid in uids.items():
        dataset = read_file(SMALL).unwrap().dataset().unwrap()
        dataset["SOPInstanceUID"] = uid
        plain = write_file(dataset, tmp_path / "plain.dcm").unwrap()
        made = transcode(read_file(plain).unwrap(), keyword).unwrap()
        sent.append(write_file(made, tmp_path / f"{keyword}.dcm").unwrap())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        http_port = probe.getsockname()[1]
    with hooked(driver, tmp_path / "archive", judge) as served:
        us = Peer("127.0.0.1", served.port, "US")
        launch = orthanc("Orthanc", modalities=[us], http_port=http_port)
        assert launch is not None
        with launch.running() as server:
            theirs = Peer("127.0.0.1", server.port, "ORTHANC")
            assert StorageScu().store(theirs, sent).unwrap().failures == ()
            for keyword, uid in uids.items():
                (found,) = _rest(
                    http_port, "/tools/find",
                    {"Level": "Instance", "Query": {"SOPInstanceUID": uid}},
                )  # fmt: skip
                answer = _rest(
                    http_port, "/modalities/US/store",
                    {"Resources": [found], "Synchronous": True, "Permissive": False},
                )  # fmt: skip
                if uid == refused:
                    assert "no room" in json.dumps(answer) or "A700" in json.dumps(answer).upper()
                else:
                    assert answer["FailedInstancesCount"] == 0, keyword
        kept = {one.sop_instance_uid: one for one in everything(served.archive)}
    assert set(kept) == set(uids.values()) - {refused}
    for keyword in keywords[:2]:
        assert kept[uids[keyword]].syntax.keyword == keyword


# -- pynetdicom, both ways -------------------------------------------------------------------


@contextlib.contextmanager
def pynetdicom_receiving(
    statuses: list[int], *keywords: str
) -> Iterator[tuple[Peer, list[tuple[str, str]]]]:
    """Run pynetdicom's server; it answers with the statuses first, then with success."""
    pynetdicom: Any = pytest.importorskip("pynetdicom")
    got: list[tuple[str, str]] = []

    def on_store(event: Any) -> Any:
        got.append((str(event.request.AffectedSOPInstanceUID), str(event.context.transfer_syntax)))
        answer = pydicom.Dataset()
        answer.Status = statuses.pop(0) if statuses else 0
        if answer.Status:
            answer.ErrorComment = "as told"
            answer.OffendingElement = [0x00080060]
        return answer

    entity = pynetdicom.AE("PYNETDICOM")
    entity.add_supported_context(
        "1.2.840.10008.5.1.4.1.1.2", [syntax(keyword).uid for keyword in keywords]
    )
    handlers = [(pynetdicom.evt.EVT_C_STORE, on_store)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield Peer("127.0.0.1", server.server_address[1], "PYNETDICOM"), got
    finally:
        server.shutdown()


@pytest.mark.interop
def test_pynetdicom_gets_what_it_takes(tmp_path: Path) -> None:
    """A JPEG 2000 image is sent to a peer that takes RLE only, without loss."""
    path = encoded("JPEG2000Lossless", tmp_path)
    with pynetdicom_receiving([], "RLELossless") as (peer, got):
        (outcome,) = StorageScu().store(peer, path).unwrap().outcomes
    assert outcome.status == 0
    assert got == [(outcome.sop_instance_uid, syntax("RLELossless").uid)]


@pytest.mark.interop
def test_pynetdicom_is_busy_at_first() -> None:
    """A700H is tried again after the others; B000H is stored; A900H is final."""
    scu = StorageScu(retry=RetryPolicy(attempts=2, first_delay_s=0.01))
    with pynetdicom_receiving([0xA700, 0xB000, 0xA900], "ExplicitVRLittleEndian") as (peer, got):
        report = scu.store(peer, SERIES).unwrap()
    assert [one.status for one in report.outcomes] == [0, 0xB000, 0xA900, 0, 0]
    assert [one.attempts for one in report.outcomes] == [2, 1, 1, 1, 1]
    assert [uid for uid, _ in got][-1] == report.outcomes[0].sop_instance_uid
    assert report.outcomes[2].comment == "as told"
    assert report.outcomes[2].offending_elements == (0x00080060,)


@pytest.mark.interop
@pytest.mark.parametrize("driver", [DicomServer, BackgroundServer], ids=["threaded", "asyncio"])
def test_pynetdicom_reads_our_refusal(
    tmp_path: Path, driver: type[DicomServer | BackgroundServer]
) -> None:
    """Status, Error Comment and Offending Element are what the hook said."""
    pynetdicom: Any = pytest.importorskip("pynetdicom")
    verdict = Refuse(0xA900, "no Modality", offending_elements=["Modality"])
    dataset = pydicom.dcmread(SMALL)
    entity = pynetdicom.AE("PYNETDICOM")
    entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    with hooked(driver, tmp_path / "archive", lambda _: verdict) as served:
        association = entity.associate("127.0.0.1", served.port)
        assert association.is_established
        answer = association.send_c_store(dataset)
        association.release()
    assert (answer.Status, answer.ErrorComment) == (0xA900, "no Modality")
    assert int(answer.OffendingElement) == int(DicomTag.of("Modality"))


@pytest.mark.interop
def test_several_pynetdicom_senders_at_once(tmp_path: Path) -> None:
    """Each image of each sender is kept once, with hooks in the way."""
    pynetdicom: Any = pytest.importorskip("pynetdicom")
    failures: list[object] = []

    def send(port: int, number: int) -> None:
        dataset = pydicom.dcmread(SMALL)
        entity = pynetdicom.AE(f"PYNETDICOM_{number}")
        entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
        association = entity.associate("127.0.0.1", port)
        for _ in range(5):
            dataset.SOPInstanceUID = UID(new_uid())
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            status = association.send_c_store(dataset).get("Status")
            if status != 0:
                failures.append(status)
        association.release()

    with hooked(DicomServer, tmp_path / "archive", lambda _: None) as served:
        threads = [threading.Thread(target=send, args=(served.port, one)) for one in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_S)
        assert failures == []
        assert len(everything(served.archive)) == 20
