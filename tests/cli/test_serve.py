from __future__ import annotations

import random
import shutil
import signal
import socket
import sqlite3
import time
from pathlib import Path

import pytest

from pacs_sdk.core import MemoryBytes
from pacs_sdk.network import Peer, ProposedContext, connect
from pacs_sdk.network.dimse import CEchoRQ, CStoreRQ
from pacs_sdk.network.engine import AssociationEngine
from pacs_sdk.network.negotiation import association_request
from tests.cli.helpers import (
    DEADLINE_S,
    SERIES,
    Serving,
    address,
    failed,
    pacs,
    run_program,
    serving,
    succeeded,
)

pytestmark = pytest.mark.slow  # each starts a process

IMPLICIT = "1.2.840.10008.1.2"
VERIFICATION = "1.2.840.10008.1.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"

STOP_LIMIT_S = 1.0
"""What is promised: a stop takes less, whatever the peers do."""


def stop_time(server: Serving, number: signal.Signals) -> float:
    """Send a signal and return how long the process took to end, in seconds."""
    begin = time.monotonic()
    server.process.send_signal(number)
    server.process.wait(timeout=DEADLINE_S)
    return time.monotonic() - begin


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_it_with_associations_open(tmp_path: Path, number: signal.Signals) -> None:
    """SIGTERM, Ctrl-C and a closed terminal end it in under a second with exit code 0.

    Peers hear an abort.
    """
    with serving("--data", tmp_path, "--port", 0) as server:
        contexts = [ProposedContext(VERIFICATION, (IMPLICIT,))]
        opened = [connect(server.peer, "TESTER", contexts).unwrap() for _ in range(5)]
        taken_s = stop_time(server, number)
        log = server.stopped()
        assert taken_s < STOP_LIMIT_S
        for association in opened:
            with association:
                answer = association.call(association.contexts[0], CEchoRQ(1))
            assert "abort" in answer.failure().message
    assert "server-stopped" in log


def test_it_goes_on_where_the_end_of_the_terminal_is_to_be_ignored(tmp_path: Path) -> None:
    """As ``nohup`` says."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a new process has what this one has
    try:
        with serving("--data", tmp_path, "--port", 0) as server:
            server.process.send_signal(signal.SIGHUP)
            succeeded(pacs("echo", *address(server.peer)))
            server.process.terminate()
            server.stopped()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_peer_that_stalls_in_a_message_cannot_delay_the_stop(tmp_path: Path) -> None:
    """An image that has begun and never goes on is given up; nothing of it is stored."""
    with serving("--data", tmp_path, "--port", 0) as server:
        engine = AssociationEngine(is_requestor=True, now=0.0)
        engine.associate(
            association_request("STALLER", "PACS_SCP", [ProposedContext(CT_IMAGE, (IMPLICIT,))])
        )
        with socket.create_connection(address(server.peer), DEADLINE_S) as connection:
            engine.transport_connected()
            connection.sendall(b"".join(engine.take_output()))
            while not engine.is_established:
                engine.receive(memoryview(connection.recv(65536)), 0.0)
            (context_id,) = engine.contexts
            request = CStoreRQ(1, CT_IMAGE, "1.2.3")
            data = MemoryBytes(bytes(1 << 20)).view()
            first, *_ = engine.send_message(context_id, request, data)
            connection.sendall(b"".join(first)[:5000])  # the command, and some of the image
            # Another association is served only after the server has read what is above.
            succeeded(pacs("echo", *address(server.peer)))
            taken_s = stop_time(server, signal.SIGTERM)
        server.stopped()
    assert taken_s < STOP_LIMIT_S
    assert list((tmp_path / "objects").rglob("*.dcm")) == []


def test_garbage_is_closed_and_the_server_goes_on(tmp_path: Path) -> None:
    """Bytes that are no DICOM get an A-ABORT or a close; the next client is served."""
    with serving("--data", tmp_path, "--port", 0) as server:
        for garbage in (
            b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n",
            random.Random(7).randbytes(100_000),
            b"\x01\x00\xff\xff\xff\xff" + bytes(100),  # an A-ASSOCIATE-RQ of 4 GB
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS ClientHello
            b"",
        ):
            with socket.create_connection(address(server.peer), DEADLINE_S) as connection:
                connection.sendall(garbage)
                connection.shutdown(socket.SHUT_WR)
                answer = bytearray()
                try:
                    while received := connection.recv(4096):
                        answer += received
                except ConnectionResetError:
                    pass  # closed before all of the garbage was read
                assert bytes(answer[:1]) in (b"", b"\x07")  # nothing, or an A-ABORT (PS3.8 9.3.8)
            succeeded(pacs("echo", *address(server.peer)))
        server.process.terminate()
        assert "crashed" not in server.stopped()


def test_what_was_stored_survives_a_restart(tmp_path: Path) -> None:
    """A second server on the same folder has the images of the first."""
    for _ in range(2):
        with serving("--data", tmp_path, "--port", 0) as server:
            succeeded(pacs("store", *address(server.peer), SERIES))
            found = succeeded(
                pacs("find", *address(server.peer), "-k", "NumberOfStudyRelatedInstances")
            )
            assert found == "5\n"
            server.process.terminate()
            server.stopped()


def test_nothing_of_a_patient_is_logged(tmp_path: Path) -> None:
    """Even at level debug the log names no patient."""
    with serving("--data", tmp_path, "--port", 0, "--log-level", "debug") as server:
        succeeded(pacs("store", *address(server.peer), SERIES))
        succeeded(pacs("find", *address(server.peer), "-k", "PatientName=Doe*"))
        server.process.terminate()
        log = server.stopped()
    assert "association-accepted" in log
    for secret in ("Doe", "Peter", "98890234"):
        assert secret not in log


def test_log_level(tmp_path: Path) -> None:
    """At level error an uneventful run logs nothing."""
    with serving("--data", tmp_path, "--port", 0, "--log-level", "error") as server:
        succeeded(pacs("echo", *address(server.peer)))
        server.process.terminate()
        assert server.stopped() == ""


def test_an_entry_stays_one_line(tmp_path: Path) -> None:
    """What a peer calls itself cannot make entries of its own in the log."""
    with serving("--data", tmp_path, "--port", 0) as server:
        with socket.create_connection(address(server.peer), DEADLINE_S) as connection:
            engine = AssociationEngine(is_requestor=True, now=0.0)
            engine.associate(
                association_request("TESTER", "PACS", [ProposedContext(VERIFICATION, (IMPLICIT,))])
            )
            engine.transport_connected()
            request = b"".join(engine.take_output())
            connection.sendall(request.replace(b"TESTER  ", b"A\nFAKE=1"))
            assert connection.recv(1) == b"\x02"  # A-ASSOCIATE-AC
        server.process.terminate()
        log = server.stopped()
    assert "calling_ae_title='A FAKE=1'" in log
    assert not any(line.startswith("FAKE") for line in log.splitlines())


# -- configuration -----------------------------------------------------------------------------


def called(peer: Peer, ae_title: str) -> bool:
    """Tell whether a server accepts a called AE title."""
    return pacs("echo", *address(peer), "--aec", ae_title).exit_code == 0


def test_later_settings_win(tmp_path: Path) -> None:
    """Defaults, then the TOML file, then the environment, then the command line."""
    config = tmp_path / "pacs.toml"
    config.write_text(
        f"""
        [server]
        ae_title = "FROM_FILE"
        port = 0
        require_called_ae_title = true
        [storage]
        data_dir = "{tmp_path / "file"}"
        """
    )
    with serving("--config", config) as server:
        assert called(server.peer, "FROM_FILE")
        assert not called(server.peer, "PACS_SCP")
    environment = {"PACS_SERVER__AE_TITLE": "FROM_ENV", "PACS_STORAGE__DATA_DIR": f"{tmp_path}/env"}
    with serving("--config", config, environment=environment) as server:
        assert called(server.peer, "FROM_ENV")
        assert not called(server.peer, "FROM_FILE")
    options = ("--ae-title", "FROM_OPTION", "--data", tmp_path / "option")
    with serving("--config", config, *options, environment=environment) as server:
        assert called(server.peer, "FROM_OPTION")
        assert not called(server.peer, "FROM_ENV")
    made = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert made == {"file", "env", "option"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server]\nporrt = 1", "server.porrt is not a setting"),
        ("[server]\nmax_associations = 'many'", "is 'many', but must be a whole number"),
        ("[server\nport = 1", "pacs.toml is not TOML: "),
        ("[storage]\ndurability = 'maybe'", "storage.durability is 'maybe'"),
        ("server = 3", "server is 3"),
    ],
)
def test_a_bad_configuration_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    """What is wrong in the file, and that it should be corrected."""
    config = tmp_path / "pacs.toml"
    config.write_text(text)
    done = run_program("serve", "--config", config, "--data", tmp_path / "x", "--port", 0)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert words in line
    assert not (tmp_path / "x").exists()


def test_a_missing_configuration(tmp_path: Path) -> None:
    """A file that is not there is named."""
    line = failed(pacs("serve", "--config", tmp_path / "none.toml"))
    assert "none.toml cannot be read: No such file or directory" in line


# -- what hinders a start ----------------------------------------------------------------------


def test_a_port_in_use(tmp_path: Path) -> None:
    """One line says which port, and what to do; exit code 1, and no READY."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run_program("serve", "--data", tmp_path, "--port", port)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in line
    assert "choose another port" in line


def test_an_address_that_is_not_ours(tmp_path: Path) -> None:
    """An address of another machine cannot be listened on."""
    done = run_program("serve", "--data", tmp_path, "--port", 0, "--host", "192.0.2.1")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "cannot listen on 192.0.2.1" in line
    assert "give an address of this machine" in line


def test_a_data_folder_that_cannot_be(tmp_path: Path) -> None:
    """A file in the place of the folder is named; no traceback."""
    (tmp_path / "file").write_text("in the way")
    done = run_program("serve", "--data", tmp_path / "file", "--port", 0)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "file" in line
    assert "unexpected" not in line


def test_a_broken_index_is_one_line(tmp_path: Path) -> None:
    """An index that is no database is said to be one."""
    with serving("--data", tmp_path, "--port", 0) as server:
        server.process.terminate()
        server.stopped()
    (index,) = tmp_path.glob("index.sqlite")
    with sqlite3.connect(index) as database:
        database.execute("pragma journal_mode = delete")
    database.close()
    index.write_bytes(b"this is no database" * 1000)
    done = run_program("serve", "--data", tmp_path, "--port", 0)
    shutil.rmtree(tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("pacs: ")
    assert "unexpected" not in line


@pytest.mark.slow
def test_workers_share_the_port_and_the_archive(tmp_path: Path) -> None:
    """What one process stored another finds; a signal ends them all with exit code 0."""
    with serving("--data", tmp_path, "--port", 0, "--workers", 2) as server:
        where = address(server.peer)
        succeeded(pacs("store", *where, SERIES))
        for _ in range(8):  # whichever of the two answers
            found = succeeded(
                pacs("find", *where, "--level", "SERIES", "-k", "Modality=CT", "--json")
            )
            assert "SeriesInstanceUID" in found
        server.process.terminate()
        log = server.stopped()
    assert log.count("worker-ready") == 2
    assert "workers-stopped" in log


def test_workers_and_replacing_do_not_go_together(tmp_path: Path) -> None:
    """Two processes that replace one instance at a time could mix it up: refused at the start."""
    settings = tmp_path / "pacs.toml"
    settings.write_text("[storage]\nduplicates = 'replace'\n")
    options = ("serve", "--data", tmp_path, "--port", 0, "--workers", 2, "--config", settings)
    assert "one process only" in failed(pacs(*options))
