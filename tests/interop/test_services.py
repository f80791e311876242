"""DCMTK asks a worklist that is made of a function; the health of DCMTK's servers and Orthanc."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from benchmarks.launch import Launch
from benchmarks.peers import dcmqrscp, orthanc
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network import (
    BackgroundServer,
    ClientTimeouts,
    DicomServer,
    FunctionService,
    Peer,
    ServerConfig,
    ServiceRequest,
)
from pacs_sdk.network.dimse import CFindRQ
from pacs_sdk.services import PeerState, VerificationScp, VerificationScu

WORKLIST = "1.2.840.10008.5.1.4.31"

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
        env={**os.environ, "TCP_NODELAY": "1"},
    )


# -- a worklist made of a function ---------------------------------------------------------------


def worklist() -> FunctionService:
    """Schedule a thousand patients; one is a bug, another has no licence."""
    service = FunctionService([WORKLIST])

    @service.handles(CFindRQ)
    def find(request: ServiceRequest[CFindRQ]) -> Iterator[DicomDataset]:
        wanted = str(request.dataset().unwrap().get("PatientID") or "")
        for number in range(1000):
            patient_id = f"P{number}"
            if wanted in ("", patient_id, "BUG", "LICENCE"):
                yield DicomDataset(PatientID=patient_id, PatientName=f"Phantom^{number}")
            if wanted == "BUG":
                raise ZeroDivisionError
            if wanted == "LICENCE":
                raise PacsException(ErrorCode.NOT_AUTHORISED, "no licence for this station")

    return service


@pytest.fixture(scope="module", params=[DicomServer, BackgroundServer])
def ward(request: pytest.FixtureRequest) -> Iterator[Peer]:
    """Run a worklist with each driver."""
    server = request.param(ServerConfig(ae_title="WARD", port=0), [worklist(), VerificationScp()])
    with server:
        yield Peer(server.host, server.port, server.ae_title)


def findscu(program: Path, peer: Peer, *options: str) -> str:
    """Ask a worklist with DCMTK's findscu."""
    command = (program, "-v", "-W", "-aec", peer.ae_title, *options, peer.host, peer.port)
    return run(*command).stdout


@pytest.mark.interop("findscu")
def test_findscu_reads_a_worklist_that_is_a_function(dcmtk: dict[str, Path], ward: Peer) -> None:
    """One match by its key, with the name that the function gave; then Success."""
    text = findscu(dcmtk["findscu"], ward, "-k", "PatientID=P7", "-k", "PatientName")
    assert len(re.findall(r"Find Response: \d+ \(Pending\)", text)) == 1
    assert "Phantom^7" in text
    assert "Received Final Find Response (Success)" in text


@pytest.mark.interop("findscu")
def test_findscu_cancels_a_function(dcmtk: dict[str, Path], ward: Peer) -> None:
    """After three of a thousand matches the function is stopped, and the status is FE00H."""
    text = findscu(dcmtk["findscu"], ward, "--cancel", "3", "-k", "PatientID")
    assert 3 <= len(re.findall(r"Find Response: \d+ \(Pending\)", text)) < 1000
    assert "Received Final Find Response (Cancel" in text


@pytest.mark.interop("findscu", "echoscu")
@pytest.mark.parametrize(("patient_id", "status"), [("BUG", "0x0110"), ("LICENCE", "0x0124")])
def test_findscu_is_told_of_a_failure_after_a_match(
    patient_id: str, status: str, dcmtk: dict[str, Path], ward: Peer
) -> None:
    """A match, then the failure; the server answers the next one."""
    text = findscu(dcmtk["findscu"], ward, "-d", "-k", f"PatientID={patient_id}")
    assert "Phantom^0" in text
    assert re.search(rf"DIMSE Status +: {status}", text)
    assert run(dcmtk["echoscu"], "-aec", "WARD", ward.host, ward.port).returncode == 0


# -- health of others ----------------------------------------------------------------------------

SHORT = ClientTimeouts(connect_s=5.0, association_s=1.0, dimse_s=1.0)


def storescp(program: Path, *options: str) -> Launch:
    """Run DCMTK's storescp; it keeps nothing."""
    return Launch("storescp", lambda _, port: [str(program), "--ignore", *options, str(port)])


@pytest.mark.interop("storescp")
@pytest.mark.parametrize(
    ("options", "state"),
    [((), PeerState.HEALTHY), (("--refuse",), PeerState.REJECTED)],
)
def test_the_health_of_storescp(
    options: tuple[str, ...], state: PeerState, dcmtk: dict[str, Path]
) -> None:
    """Well, or rejecting every association."""
    with storescp(dcmtk["storescp"], *options).running() as server:
        health = VerificationScu(timeouts=SHORT).check(Peer("127.0.0.1", server.port)).unwrap()
    assert health.state is state
    assert health.is_reachable


@pytest.mark.interop("storescp")
def test_a_process_that_hangs_times_out(dcmtk: dict[str, Path]) -> None:
    """The kernel still takes the connection: the association is what is not reached."""
    with storescp(dcmtk["storescp"]).running() as server:
        os.kill(server.process_id, signal.SIGSTOP)
        try:
            peer = Peer("127.0.0.1", server.port)
            health = VerificationScu(timeouts=SHORT).check(peer).unwrap()
        finally:
            os.kill(server.process_id, signal.SIGCONT)
    assert health.state is PeerState.TIMED_OUT
    assert health.connect_s is not None
    assert health.association_s is None


@pytest.mark.interop("dcmqrscp")
def test_an_ae_title_that_dcmqrscp_does_not_know() -> None:
    """Its rejection is told from a host that is not there."""
    launch = dcmqrscp()
    assert launch is not None
    with launch.running() as server:
        wrong = Peer("127.0.0.1", server.port, "NOBODY")
        health = VerificationScu(timeouts=SHORT).check(wrong).unwrap()
    assert health.state is PeerState.REJECTED
    assert "called AE title" in health.reason
    gone = VerificationScu(timeouts=SHORT).check(attrs.evolve(wrong, ae_title="X")).unwrap()
    assert gone.state is PeerState.REFUSED


@pytest.mark.interop("Orthanc")
def test_the_health_of_orthanc() -> None:
    """Orthanc confirms, and each step has its time."""
    launch = orthanc("Orthanc")
    assert launch is not None
    with launch.running() as server:
        health = VerificationScu().check(Peer("127.0.0.1", server.port, "ORTHANC")).unwrap()
    assert health.is_healthy
    assert None not in (health.connect_s, health.association_s, health.echo_s)
