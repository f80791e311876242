"""TLS with DCMTK's programs, as clients of both drivers and as servers (PS3.15 Annex B)."""

from __future__ import annotations

import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pydicom
import pydicom.data
import pytest

from pacs_sdk.core.results import Success, raised
from pacs_sdk.encoding import Instance, read_file
from pacs_sdk.network import BackgroundServer, DicomServer, Peer, ServerConfig, ServerTls
from pacs_sdk.services import StorageScp, StorageScu, VerificationScp
from tests.network.tls_peers import Pki

SERIES = Path(pydicom.data.__file__).parent / "test_files/dicomdirtests/98892001/CT5N"
ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}
DEADLINE_S = 60


@pytest.fixture(scope="module", name="pki")
def _pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Make certificates once."""
    return Pki.make(tmp_path_factory.mktemp("pki"))


def run(*command: object) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
        env=ENVIRONMENT,
    )


@pytest.mark.parametrize("driver", [DicomServer, BackgroundServer])
@pytest.mark.parametrize("profile", ["+py", "+px"])
@pytest.mark.parametrize("mutual", [False, True])
@pytest.mark.interop("storescu", "echoscu")
def test_dcmtk_sends_images_over_tls(
    pki: Pki,
    dcmtk: dict[str, Path],
    driver: type[DicomServer | BackgroundServer],
    profile: str,
    mutual: bool,
) -> None:
    """`echoscu` and `storescu` with a server certificate alone, and with one of their own."""
    kept: dict[str, bytes] = {}

    def store(instance: Instance) -> Success[None]:
        kept[instance.sop_instance_uid] = bytes(instance.encoded.view())
        return Success(None)

    tls: ServerTls = pki.mutual_tls if mutual else pki.server_tls
    options: list[object] = [profile, "+cf", pki.ca.certificate]
    if mutual:
        options += ["+tls", pki.client.private_key, pki.client.certificate]
    else:
        options += ["+tla"]
    server = driver(ServerConfig(port=0, tls=tls), [VerificationScp(), StorageScp(store)])
    with server:
        where = ("-aec", server.ae_title, "127.0.0.1", server.port)
        echoed = run(dcmtk["echoscu"], *options, *where)
        assert echoed.returncode == 0, echoed.stderr
        stored = run(dcmtk["storescu"], *options, "+sd", *where, SERIES)
        assert stored.returncode == 0, stored.stderr
    assert set(kept) == {str(pydicom.dcmread(path).SOPInstanceUID) for path in SERIES.iterdir()}


@pytest.mark.parametrize("driver", [DicomServer, BackgroundServer])
@pytest.mark.interop("echoscu")
def test_dcmtk_without_a_certificate_stays_out(
    pki: Pki, dcmtk: dict[str, Path], driver: type[DicomServer | BackgroundServer]
) -> None:
    """Where the server demands one; in clear nobody gets in either."""
    with driver(ServerConfig(port=0, tls=pki.mutual_tls), [VerificationScp()]) as server:
        where = ("-aec", server.ae_title, "127.0.0.1", server.port)
        assert run(dcmtk["echoscu"], "+tla", "+cf", pki.ca.certificate, *where).returncode != 0
        assert run(dcmtk["echoscu"], *where).returncode != 0
        own = ("+tls", pki.client.private_key, pki.client.certificate)
        assert run(dcmtk["echoscu"], *own, "+cf", pki.ca.certificate, *where).returncode == 0


@pytest.mark.parametrize("profile", ["+py", "+px", "+pz"])
@pytest.mark.interop("storescp")
def test_we_send_images_to_dcmtk_over_tls(
    pki: Pki, dcmtk: dict[str, Path], tmp_path: Path, profile: str
) -> None:
    """`storescp` demands our certificate, and writes what we send."""
    command: list[str | Path] = [
        dcmtk["storescp"], "--inetd", profile, "-od", tmp_path,
        "+tls", pki.server.private_key, pki.server.certificate, "+cf", pki.ca.certificate,
    ]  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as pool:
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

        served = pool.submit(serve)
        peer = Peer("127.0.0.1", listener.getsockname()[1], "STORESCP", pki.as_client(pki.client))
        images = [raised(read_file(path)) for path in sorted(SERIES.iterdir())]
        report = raised(StorageScu().store(peer, images))
        served.result(DEADLINE_S)
    assert report.stored == len(images) == len(list(tmp_path.iterdir()))
