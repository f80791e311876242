"""Receiving what a C-MOVE sends in the process that asked for it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import PacsResult, Success
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import DicomServer, Peer, ServerConfig
from pacs_sdk.services import Destination, InMemory, Moves, ReceiveHere, RetrieveScp, RetrieveScu
from tests.network.tls_peers import Pki
from tests.services.conftest import MakeInstance
from tests.services.move_destinations import THE_STUDY


def test_what_was_moved_is_received_here(
    pacs: Pacs, make_instance: MakeInstance, tmp_path: Path
) -> None:
    """The user's own Storage SCP takes it, on a port the archive knows; results as instances."""
    instances = [make_instance() for _ in range(3)]
    here: list[int] = []

    def resolve(ae_title: str) -> PacsResult[Destination]:
        return Success(Destination(ae_title, "127.0.0.1", here[0]))

    for one in instances:
        pacs.archive.store(one).unwrap()
    box = InMemory()
    with DicomServer(
        ServerConfig(port=0), [RetrieveScp(pacs.archive, Moves(resolve, "ARCHIVE"))]
    ) as scp:
        report = (
            RetrieveScu()
            .move(
                Peer("127.0.0.1", scp.port),
                THE_STUDY,
                "ME",
                receive=ReceiveHere(box.keep, on_ready=here.append),
            )
            .unwrap()
        )
    assert (report.received, report.completed, report.status) == (3, 3, 0)
    assert report.size_bytes == sum(one.size for one in instances)
    assert {one.sop_instance_uid for one in box.instances} == {
        one.sop_instance_uid for one in instances
    }


@pytest.mark.parametrize(
    ("sender", "taken"),
    [("client", True), ("stranger", False), ("nobody", False), ("clear", False)],
)
@pytest.mark.slow
def test_what_was_moved_is_received_over_tls(
    pacs: Pacs, make_instance: MakeInstance, tmp_path: Path, sender: str, taken: bool
) -> None:
    """The user's own Storage SCP may demand TLS and a certificate; who has none sends nothing."""
    pki = Pki.make(tmp_path)
    senders = {
        "client": pki.as_client(pki.client),
        "stranger": pki.as_client(pki.stranger),
        "nobody": pki.client_tls,
        "clear": None,
    }
    instances = [make_instance() for _ in range(3)]
    for one in instances:
        pacs.archive.store(one).unwrap()
    here: list[int] = []

    def resolve(ae_title: str) -> PacsResult[Destination]:
        return Success(Destination(ae_title, "127.0.0.1", here[0], senders[sender]))

    box = InMemory()
    receive = ReceiveHere(box.keep, tls=pki.mutual_tls, on_ready=here.append)
    service = RetrieveScp(pacs.archive, Moves(resolve, "ARCHIVE"))
    with DicomServer(ServerConfig(port=0), [service]) as scp:
        peer = Peer("127.0.0.1", scp.port)
        report = RetrieveScu().move(peer, THE_STUDY, "ME", receive=receive).unwrap()
    if taken:
        assert (report.status, report.received) == (0, 3)
        assert {one.sop_instance_uid for one in box.instances} == {
            one.sop_instance_uid for one in instances
        }
    else:
        assert (report.status, report.received, report.failed) == (0xA702, 0, 3)
        assert not box.instances


def test_the_port_to_receive_on_is_taken(pacs: Pacs) -> None:
    """It is said before the peer is asked for anything."""
    receive = ReceiveHere(InMemory().keep, port=pacs.port, host="127.0.0.1")
    error = RetrieveScu().move(pacs.peer, THE_STUDY, "ME", receive=receive).failure()
    assert error.code is ErrorCode.PORT_UNAVAILABLE


def test_a_peer_that_is_known_by_an_ipv6_address_can_send_here(
    pacs: Pacs, make_instance: MakeInstance
) -> None:
    """The Storage SCP listens on the address by which the peer is reached."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    pacs.archive.store(make_instance()).unwrap()
    here: list[int] = []

    def resolve(ae_title: str) -> PacsResult[Destination]:
        return Success(Destination(ae_title, "::1", here[0]))

    receive = ReceiveHere(InMemory().keep, on_ready=here.append)
    service = RetrieveScp(pacs.archive, Moves(resolve, "ARCHIVE"))
    with DicomServer(ServerConfig(host="::1", port=0), [service]) as scp:
        peer = Peer("::1", scp.port)
        report = RetrieveScu().move(peer, THE_STUDY, "ME", receive=receive).unwrap()
    assert (report.status, report.received, report.failed) == (0, 1, 0)
